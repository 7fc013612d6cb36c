"""Errors for unknown arguments of the decorators, with a hint to the right argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["refuse_unknown"]

_RETRY = "retry_policy=RetryPolicy(max_retries={})"
_POD = 'pod_template={"spec": {"containers": [{"name": "step", ...}]}}'
_CRON = "a schedule beside the job: @schedule(cron_schedule={}, job=...)"

_RIGHT: Mapping[str, Mapping[str, str]] = {
    "@op": {
        **dict.fromkeys(("retries", "retry", "max_retries", "num_retries", "retry_count"), _RETRY),
        **dict.fromkeys(("retry_delay", "retry_delay_seconds", "backoff", "delay"),
                        "retry_policy=RetryPolicy(max_retries=3, delay={})"),
        **dict.fromkeys(("timeout_seconds", "max_runtime", "execution_timeout", "time_limit"), "timeout={}"),
        **dict.fromkeys(("outs", "outputs", "output"), "out={{...}}"),
        **dict.fromkeys(("inputs", "input_defs"), "ins={{...}}"),
        **dict.fromkeys(("deps", "depends_on", "after", "upstream", "non_argument_deps"),
                        "the other op's output as an argument in the job's body; to only wait, "
                        "ins={{'start': In(Nothing)}}"),
        **dict.fromkeys(("image", "env", "resources", "cpu", "memory", "gpu", "node_selector", "tolerations",
                         "service_account"), _POD.replace("{", "{{").replace("}", "}}")),
        **dict.fromkeys(("config", "params", "parameters"), "config_schema={{...}}"),
        **dict.fromkeys(("resource_defs", "required_resources", "resource_keys"),
                        "required_resource_keys={{'name'}} here and resource_defs={{...}} of the @job"),
        **dict.fromkeys(("cron", "cron_schedule", "schedule"), _CRON),
    },
    "@job": {
        **dict.fromkeys(("retries", "retry", "max_retries", "retry_policy"),
                        "op_retry_policy=RetryPolicy(max_retries=3)"),
        **dict.fromkeys(("cron", "cron_schedule", "schedule"), _CRON),
        **dict.fromkeys(("resources", "required_resource_keys"), "resource_defs={{...}}"),
        **dict.fromkeys(("executor",), "executor_def=in_process_executor"),
        **dict.fromkeys(("run_config", "config_schema", "params"), "config={{...}}"),
        **dict.fromkeys(("image", "env", "timeout", "pod_template", "ttl"),
                        "the options of `podgraph job launch`, or fields of the Job's spec"),
    },
    "@graph": {**dict.fromkeys(("outs", "outputs"), "out={{...}}")},
    "@schedule": {
        **dict.fromkeys(("cron", "schedule", "expression"), "cron_schedule={}"),
        **dict.fromkeys(("timezone", "time_zone", "tz"), "execution_timezone={}"),
        **dict.fromkeys(("run_config", "run_config_fn"), "a function that returns run config"),
    },
    "@sensor": {
        **dict.fromkeys(("interval", "minimum_interval", "interval_seconds"), "minimum_interval_seconds={}"),
    },
}  # fmt: skip


def refuse_unknown(decorator: str, unknown: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise DefinitionError (`UnknownArgument`) for the first unknown argument, if any, with the right one."""
    for name, value in unknown.items():
        right = _RIGHT.get(decorator, {}).get(name)
        shown = repr(value) if isinstance(value, (int, float, str)) and len(repr(value)) <= 40 else "..."
        hint = f"; write {right.format(shown)}" if right else nearest(name, sorted(known))
        raise DefinitionError("UnknownArgument", f"{decorator} has no argument {name!r}{hint}")
