"""Reports of a finished Job for CI: a JUnit file, and a summary for a GitHub workflow run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from podgraph.cli.cluster import Cluster
from podgraph.cli.logs import tails
from podgraph.cli.tree import StepView, reason_of, state_of
from podgraph.definition.errors import DefinitionError

__all__ = ["junit", "summary", "write_reports"]

_SUMMARY = "GITHUB_STEP_SUMMARY"
_TAIL_LINES, _TAIL_CHARACTERS = 50, 16_384
_MOST_TAILS = 20
_MOST_ROWS, _MOST_CELL = 500, 1_000  # a summary is limited to 1 MiB
_NOT_RUN = ("Pending", "Waiting", "Skipped", "UpstreamFailed", "Canceled")
_MARKS = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # of Markdown
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Job = Mapping[str, Any]


def write_reports(cluster: Cluster, job: Job, junit_file: str) -> None:
    """Write the JUnit file, and the summary to $GITHUB_STEP_SUMMARY. Raises DefinitionError (`NoFile`)."""
    summary_file = os.environ.get(_SUMMARY, "")
    if not (junit_file or summary_file):
        return
    failed = [name for name, step in _steps(job).items() if step.get("state") == "Failed"]
    logs: dict[str, list[str]] = {}
    if failed and junit_file:
        try:
            logs = tails(cluster, dict(job), failed[:_MOST_TAILS], _TAIL_LINES)
        except DefinitionError:
            logs = {}  # the report is useful without them
    texts = {name: "\n".join(lines)[-_TAIL_CHARACTERS:] for name, lines in logs.items()}
    if junit_file:
        _write(junit_file, "w", junit(job, texts))
    if summary_file:
        _write(summary_file, "a", summary(job))


def _write(path: str, mode: str, text: str) -> None:
    try:
        with open(path, mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DefinitionError("NoFile", f"cannot write the report {path!r}: {error.strerror}") from None


def junit(job: Job, logs: Mapping[str, str]) -> str:
    """Return a JUnit document with one test case per step; `logs` has the last log lines of failed steps.

    A Job that failed without a failed step, such as a refused one, gets a test case with its own name.
    """
    name = job["metadata"]["name"]
    suite = ElementTree.Element("testsuite", name=name)
    counts = {"failure": 0, "skipped": 0}
    total = 0.0
    steps = _steps(job)
    for step, record in steps.items():
        view = StepView.of_record(record)
        total += view.seconds or 0.0
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=_xml(step),
                                      time=f"{view.seconds or 0.0:.3f}")  # fmt: skip
        if view.state == "Failed":
            _child(case, "failure", view.reason, view.message, counts)
        elif view.state in _NOT_RUN:
            _child(case, "skipped", view.state, view.message, counts)
        if step in logs:
            ElementTree.SubElement(case, "system-out").text = _xml(logs[step])
    if state_of(job) != "Succeeded" and not counts["failure"]:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=_xml(name), time="0.000")
        _child(case, "failure", state_of(job), reason_of(job), counts)
    suite.attrib |= {
        "tests": str(len(suite)), "failures": str(counts["failure"]), "errors": "0",
        "skipped": str(counts["skipped"]), "time": f"{total:.3f}",
    }  # fmt: skip
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(whole, encoding="unicode") + "\n"


def summary(job: Job) -> str:
    """Return the result of a Job as Markdown: a heading, the error, and a table of its steps."""
    status, steps = job.get("status") or {}, _steps(job)
    state = state_of(job)
    figures = " ".join(str(status[key]) for key in ("progress", "duration") if status.get(key))
    lines = [f"### {_cell(job['metadata']['name'])}: {_cell(state)} {_cell(figures)}".rstrip(), ""]
    if state != "Succeeded" and (reason := reason_of(job)):
        lines += [_cell(reason), ""]
    if steps:
        lines += ["| Step | State | Time | Attempts | |", "| --- | --- | ---: | ---: | --- |"]
        # Failed steps first: not all steps of a large Job are shown.
        for name in sorted(steps, key=lambda name: steps[name].get("state") != "Failed")[:_MOST_ROWS]:
            view = StepView.of_record(steps[name])
            seconds = "" if view.seconds is None else f"{view.seconds:.3f} s"
            why = ": ".join(filter(None, (view.reason, view.message)))
            lines.append(f"| {_cell(name)} | {_cell(view.state)} | {seconds} | {view.attempt} | {_cell(why)} |")
        if len(steps) > _MOST_ROWS:
            lines.append(f"\nand {len(steps) - _MOST_ROWS} more steps")
    return "\n".join(lines) + "\n\n"


def _child(case: ElementTree.Element, kind: str, reason: str, message: str, counts: dict[str, int]) -> None:
    text = ": ".join(filter(None, (reason, message)))
    child = ElementTree.SubElement(case, kind, message=_xml(text))
    if kind == "failure":
        child.attrib["type"] = _xml(reason)
        child.text = _xml(text)
    counts[kind] += 1


def _steps(job: Job) -> dict[str, Any]:
    return dict((job.get("status") or {}).get("steps") or {})


def _xml(text: str) -> str:
    """Return a text without the characters that XML does not allow."""
    return _NOT_XML.sub("\ufffd", text)


def _cell(text: str) -> str:
    """Escape a text for one line of a Markdown table."""
    line = " ".join(_xml(text).split())
    line = line if len(line) <= _MOST_CELL else f"{line[: _MOST_CELL - 3]}..."
    return _MARKS.sub(r"\\\g<0>", line).replace("&", "&amp;").replace("<", "&lt;")
