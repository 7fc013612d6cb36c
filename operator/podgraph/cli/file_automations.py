"""The schedules and sensors of a Python file, applied to a cluster together with the definition of their job."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from podgraph.api import manifest
from podgraph.cli.automations import Schedules, Sensors
from podgraph.cli.definitions import Definitions
from podgraph.cli.launch import code_spec, module_here, name_of, resource_name
from podgraph.cli.options import Target
from podgraph.definition.errors import DefinitionError
from podgraph.definition.schedules import DefaultScheduleStatus, ScheduleDefinition
from podgraph.definition.sensors import DefaultSensorStatus, SensorDefinition
from podgraph.runtime.load import CodeRef, find_job, find_jobs

__all__ = ["apply_makers", "launch_makers", "makers_of"]

_DEFAULTS = (
    "opSelection", "runConfig", "storage", "execution", "activeDeadlineSeconds", "ttlSecondsAfterFinished",
    "podTemplate", "tags",
)  # fmt: skip

Object = dict[str, Any]


def makers_of(code: CodeRef, definition: str) -> list[Object]:
    """Return the JobSchedules and JobSensors of the code for its job, which run the JobDefinition of this name.

    Returns none if the code needs packages that only its image has. Raises DefinitionError.
    """
    module = module_here(code)
    if module is None:
        return []
    job = find_job(module, code.job).name
    _check_jobs(module)
    only = len(find_jobs(module)) == 1
    found: list[Object] = []
    for item in {id(value): value for value in vars(module).values()}.values():
        if isinstance(item, ScheduleDefinition | SensorDefinition) and (item.job_name == job or _is_free(item, only)):
            found.append(
                _schedule(item, definition) if isinstance(item, ScheduleDefinition) else _sensor(item, definition)
            )
    names = [(item["kind"], item["metadata"]["name"]) for item in found]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise DefinitionError(
                "InvalidName", f"the code has more than one {kind} with the resource name {name!r}; rename one"
            )
    return found


def apply_makers(target: Target, makers: list[Object]) -> list[str]:
    """Create or update the objects; return one line for each. Existing objects keep their `suspend`."""
    lines = []
    for item in makers:
        cluster = target.of(Schedules if item["kind"] == "JobSchedule" else Sensors)
        made, done = cluster.apply(item, kept=("suspend",))
        name, noun = made["metadata"]["name"], "schedule" if item["kind"] == "JobSchedule" else "sensor"
        hint = f", suspended: podgraph {noun} resume {name}" if made["spec"].get("suspend") else ""
        lines.append(f"{noun} {name} {done}{hint}")
    return lines


def launch_makers(target: Target, code: CodeRef, image: str) -> list[str]:
    """Create or update the schedules and sensors of a launched job, and the definition they need.

    An existing definition only gets the new code. Return one line for each object.
    """
    module = module_here(code)
    if module is None:
        return []
    name = name_of(code, find_job(module, code.job))
    makers = makers_of(code, name)
    if not makers:
        return []
    wanted = manifest("JobDefinition", {"name": name}, {"code": code_spec(code, image)})
    _, done = target.of(Definitions).apply(wanted, kept=_DEFAULTS)
    return [f"definition {name} {done}", *apply_makers(target, makers)]


def _check_jobs(module: ModuleType) -> None:
    jobs = [job.name for job in find_jobs(module)]
    for item in vars(module).values():
        if not isinstance(item, ScheduleDefinition | SensorDefinition):
            continue
        noun = "schedule" if isinstance(item, ScheduleDefinition) else "sensor"
        if not item.job_name and len(jobs) > 1:
            raise DefinitionError("NoJob", f"{noun} {item.name!r} must name the job that it runs: {', '.join(jobs)}")
        if item.job_name and item.job_name not in jobs:
            raise DefinitionError(
                "UnknownJob", f"{noun} {item.name!r} runs the job {item.job_name!r}, which the code does not define"
            )


def _is_free(item: ScheduleDefinition | SensorDefinition, only: bool) -> bool:
    return only and not item.job_name


def _schedule(item: ScheduleDefinition, definition: str) -> Object:
    spec: Object = {}
    if len(item.cron_schedules) == 1:
        spec["schedule"] = item.cron_schedules[0]
    else:
        spec["schedules"] = list(item.cron_schedules)
    spec["timeZone"] = item.execution_timezone
    if item.default_status is DefaultScheduleStatus.STOPPED:
        spec["suspend"] = True
    if item.fn is not None:
        spec["python"] = _function(item.name, definition)
    else:
        job: Object = {"definitionRef": {"name": definition}}
        if item.run_config:
            job["runConfig"] = dict(item.run_config)
        if item.tags:
            job["tags"] = dict(item.tags)
        spec["jobTemplate"] = {"spec": job}
    return _object("JobSchedule", item.name, spec)


def _sensor(item: SensorDefinition, definition: str) -> Object:
    spec: Object = {
        "source": {"python": _function(item.name, definition)},
        "minimumIntervalSeconds": item.minimum_interval_seconds,
    }
    if item.default_status is DefaultSensorStatus.STOPPED:
        spec["suspend"] = True
    return _object("JobSensor", item.name, spec)


def _function(name: str, definition: str) -> Object:
    return {"definitionRef": {"name": definition}, "function": name}


def _object(kind: str, name: str, spec: Object) -> Object:
    return manifest(kind, {"name": resource_name(name)}, spec)
