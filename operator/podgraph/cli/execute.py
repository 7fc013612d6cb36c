"""`podgraph job execute`: run a job on this machine."""

from __future__ import annotations

import glob
import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from podgraph.cli.exits import interrupted, terminates
from podgraph.cli.manifests import LocalJob
from podgraph.cli.show import LineShow, QuietShow, TreeShow, as_json, output_texts
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.run_config.binding import merge
from podgraph.run_config.execution import EXECUTORS
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.in_process import run_in_process, show_logs
from podgraph.runtime.local.multiprocess import run_multiprocess
from podgraph.runtime.local.run_plan import RunPlan, plan_run
from podgraph.runtime.local.steps import LocalSteps

__all__ = ["execute", "read_config_files", "read_tags"]


def execute(
    code: CodeRef, config_files: Sequence[str], config_json: str, selection: Sequence[str], tags: str, executor: str,
    output: str, given: LocalJob | None = None,
) -> int:  # fmt: skip
    """Run the job and return the exit status: 0 on success, 1 when a step failed, 130 after Ctrl-C.

    The options override the settings of `given`, the manifest.

    Raises DefinitionError before anything runs if the job, its config or the selection is refused.
    """
    config = read_config_files(config_files, config_json)
    run_tags = read_tags(tags)
    if given is not None:
        config = merge(dict(given.run_config), config)
        run_tags = {**given.tags, **run_tags}
    if executor:
        config = merge(config, {"execution": {"config": _executor(config, executor)}})
    prepared = plan_run(code.load(), config, selection, tags=run_tags, default_executor="multiprocess")
    show = _show(output)
    steps = LocalSteps(prepared.graph, prepared.selected, show.event)
    run = RunInfo(uuid.uuid4().hex, prepared.tags, prepared.execution.retries)
    terminates()
    try:
        with show.running(prepared, steps):
            if output == "text":
                show_logs()
            if prepared.execution.executor == "multiprocess":
                run_multiprocess(prepared, steps, run, code, show.printed)
                problem = None
            else:
                problem = run_in_process(prepared, steps, run)
    except KeyboardInterrupt as error:
        _print_where_it_stood(steps)
        return interrupted(error)
    _print_end(prepared, steps, run, problem, output)
    return 1 if steps.count("Failed") or not steps.done else 0


def read_config_files(patterns: Sequence[str], config_json: str = "") -> dict[str, Any]:
    """Read run config from YAML or JSON files and from JSON text. Later files override earlier ones, the text all.

    Raises DefinitionError (`NoFile`, `InvalidFile`).
    """
    config: dict[str, Any] = {}
    for pattern in patterns:
        paths = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern))
        if not paths:
            raise DefinitionError("NoFile", f"config file {pattern!r} does not exist")
        for path in paths:
            try:
                config = merge(config, _mapping(yaml.safe_load(Path(path).read_text()), path))
            except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
                text = " ".join(str(error).split())
                raise DefinitionError("InvalidFile", f"config file {path!r} cannot be read: {text}") from None
    if config_json:
        config = merge(config, _mapping(_json(config_json, "--config-json"), "--config-json"))
    return config


def read_tags(text: str) -> dict[str, str]:
    """Read tags in the form of Dagster's `--tags`, a JSON object, or as `key=value,key=value`.

    >>> read_tags('{"team": "data"}') == read_tags("team=data")
    True
    """
    if not text.strip():
        return {}
    if text.lstrip().startswith("{"):
        return dict(_mapping(_json(text, "--tags"), "--tags"))
    pairs = [pair.partition("=") for pair in text.split(",")]
    if any(not sign or not key.strip() for key, sign, _ in pairs):
        raise DefinitionError("InvalidTags", f"--tags is {text!r}; it must be key=value,key=value or a JSON object")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _executor(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the execution config for an executor name, with the settings of the run config for that executor."""
    chosen = name.replace("-", "_")
    if chosen not in EXECUTORS:
        raise DefinitionError("InvalidExecutor", f"executor {name!r} does not exist{nearest(chosen, EXECUTORS)}")
    section = config.get("execution")
    own = section.get("config") if isinstance(section, dict) else None
    return {chosen: own.get(chosen) if isinstance(own, dict) and own.get(chosen) else {}}


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DefinitionError("InvalidFile", f"{where} is not valid JSON: {error}") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DefinitionError("InvalidFile", f"{where} must hold a mapping, not a {type(value).__name__}")
    return value


def _show(output: str) -> QuietShow:
    if output == "json":
        return QuietShow()
    if sys.stdout.isatty():
        from rich.console import Console

        return TreeShow(Console())
    return LineShow()


def _print_end(prepared: RunPlan, steps: LocalSteps, run: RunInfo, problem: BaseException | None, output: str) -> None:
    for name, step in steps.records.items():
        if step.error is not None:
            print(f"\nop {name!r} failed: {step.error.reason}: {step.error.message}", file=sys.stderr)
            if step.error.stack:
                print(step.error.stack.rstrip(), file=sys.stderr)
    if problem is not None and not steps.done:
        print(f"error: {problem}", file=sys.stderr)
    if output == "json":
        print(as_json(prepared, steps, run.run_id))
        return
    if not sys.stdout.isatty():
        for name, step in steps.records.items():
            for key, text in output_texts(step).items():
                print(f"{name}.{key} = {text}")
    counts = ", ".join(f"{count} {state}" for state, count in steps.counts.items() if count)
    verdict = "failed" if steps.count("Failed") or not steps.done else "succeeded"
    print(f"job {prepared.job.name!r} {verdict}: {counts}", file=sys.stderr)


def _print_where_it_stood(steps: LocalSteps) -> None:
    print("\ncanceled; state of each step:", file=sys.stderr)
    for name, step in steps.records.items():
        print(f"  {name}  {step.state}", file=sys.stderr)
