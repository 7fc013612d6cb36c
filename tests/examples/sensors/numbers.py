"""A job, a sensor that runs it once for each of three numbers, and schedules for each minute and each night.

`podgraph definition apply -f numbers.py` applies them to a cluster; the schedules start once they are resumed.
"""

from podgraph import DefaultSensorStatus, RunRequest, ScheduleDefinition, SkipReason, job, op, schedule, sensor


@op(config_schema={"number": int})
def square(context):
    return context.config["number"] ** 2


@job
def squares():
    square()


def config_of(number):
    return {"ops": {"square": {"config": {"number": number}}}}


@sensor(job=squares, minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def each_number(context):
    last = int(context.cursor or 0)
    if last == 3:
        return SkipReason("all three are done")
    context.update_cursor(str(last + 1))
    return RunRequest(run_key=f"number {last + 1}", run_config=config_of(last + 1))


@schedule("* * * * *", job=squares)
def each_minute(context):
    return config_of(context.scheduled_execution_time.minute)


nightly = ScheduleDefinition("nightly", job=squares, cron_schedule="0 3 * * *", run_config=config_of(7))
