"""The first job in the documentation of Dagster, with the import line changed.

python my_job.py
podgraph job execute -f my_job.py
"""

from podgraph import job, op


@op
def return_one():
    return 1


@op
def add_two(i: int):
    return i + 2


@op
def multi_three(i: int):
    return i * 3


@job
def my_job():
    multi_three(add_two(return_one()))


if __name__ == "__main__":
    result = my_job.execute_in_process()
    print(result.output_for_node("multi_three"))
