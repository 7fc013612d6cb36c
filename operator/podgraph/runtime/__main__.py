"""The process of a pod: `python3 runtime.pyz`.

It reads the assignment file, does the work, and writes a record to the termination message. The record of a step and a
graph also go to standard output and the direct link. Exit status: 0 if the record is Succeeded, 1 if it is Failed, 143
without a record if SIGTERM stopped the step.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.protocol import step as protocol
from podgraph.protocol.signing import pod_key, take_key
from podgraph.protocol.step import Assignment, Record, StepError
from podgraph.runtime.load import CodeRef, find_job, import_file, import_module
from podgraph.runtime.own_process import only_own_process
from podgraph.runtime.pod.link import Link
from podgraph.runtime.pod.output import PodOutput
from podgraph.runtime.pod.sigterm import EXIT_CODE, PodTerminated, ended_at_once
from podgraph.runtime.pod.storage import open_storage, probe


def main(assignment: Assignment) -> int:
    """Do the assigned work, write the record, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    link = Link(assignment.link, pod_key())
    out = PodOutput(link)
    with only_own_process():
        record = work(assignment, out, link)
    _flush()
    # Written last, in one write: a readable record means that all earlier work is done.
    line = record.to_line(pod_key())
    Path(protocol.TERMINATION_FILE).write_text(line, encoding="utf-8")
    if assignment.op or record.nonce != assignment.nonce:  # it reported the graph first, and then ran a step
        out(line)
    link.close()
    return 0 if record.outcome == "Succeeded" else 1


def work(assignment: Assignment, out: PodOutput, link: Link, job: JobDefinition | None = None) -> Record:
    """Import the code (unless `job` is set) and run the op, a pod group or all steps, or report the graph.

    A pod that reports the graph also tests the storage: it has the same template as the pods of the steps, and precedes
    them.
    """
    try:
        if assignment.clean:
            open_storage(assignment.storage).delete(assignment.prefix)
            return Record(assignment.nonce, "Succeeded")
        if assignment.show:
            from podgraph.runtime.pod.logs import show_logs

            show_logs(open_storage(assignment.storage), assignment.prefix, assignment.show, assignment.nonce)
            return Record(assignment.nonce, "Succeeded")
        if assignment.evaluate:
            from podgraph.runtime.pod.evaluator import serve

            has_code = assignment.file or assignment.module
            serve(assignment, _module(assignment) if has_code else None)
        if assignment.ahead:
            return _work_ahead(assignment, out, link)
        if job is None:
            with ended_at_once():
                job = _load(assignment)
        link.open()
        return _work(job, assignment, out)
    except (DefinitionError, StepError) as error:
        print(f"{getattr(error, 'stack', '')}{error.reason}: {error.message}", file=sys.stderr)
        return Record(assignment.nonce, "Failed", reason=error.reason, message=error.message)


def _work_ahead(assignment: Assignment, out: PodOutput, link: Link) -> Record:
    """Do the work that needs no inputs (report the graph if requested), then wait for the assignment and do it."""
    from podgraph.runtime.pod.prestart import whole_assignment

    record = None
    with ended_at_once():
        job = _load(assignment)
        if not assignment.op:
            record = _work(job, assignment, out)
        import podgraph.runtime.pod.step  # noqa: F401  takes its time, and is needed in any case

        if assignment.storage:
            open_storage(assignment.storage)
        whole = whole_assignment(assignment, link)
    if whole is not None and whole.op:
        if assignment.keep_log:
            from podgraph.runtime.pod.logs import keep_below

            keep_below(whole.prefix)
        return work(whole, out, link, job)
    if record is not None:
        return record
    text = f"the pod received no assignment within {assignment.ahead} seconds"
    return Record(assignment.nonce, "Failed", reason=protocol.NOT_ASSIGNED, message=text)


def _load(assignment: Assignment) -> JobDefinition:
    return find_job(_module(assignment), assignment.job)


def _module(assignment: Assignment) -> ModuleType:
    if assignment.module:
        sys.path.insert(0, os.getcwd())
        return import_module(assignment.module)
    sys.path.insert(0, protocol.CODE_DIR)
    return import_file(f"{protocol.CODE_DIR}/{assignment.file}")


def _work(job: JobDefinition, assignment: Assignment, out: PodOutput) -> Record:
    if assignment.group:
        from podgraph.runtime.pod.all_steps import run_group

        file = f"{protocol.CODE_DIR}/{assignment.file}" if assignment.file else ""
        return run_group(job, CodeRef(file, assignment.module, assignment.job), assignment, out)
    if assignment.shared:
        from podgraph.runtime.pod.pod_group import run_shared

        return run_shared(job, assignment, out)
    if assignment.op:
        from podgraph.runtime.pod.step import run_step

        return run_step(job, assignment)
    from podgraph.runtime.pod.resolve import resolve

    if assignment.storage:
        probe(open_storage(assignment.storage), assignment.prefix)
    record, lines = resolve(job, assignment, pod_key())
    _flush()
    for line in (*lines, record.to_line(pod_key())):
        out(line)
    return record


def run() -> None:
    """Run :func:`main`, then exit immediately: the record is written, so threads of the user's code no longer matter.

    Standard error is redirected to standard output: the log of a pod has both, and a container runtime that reads two
    pipes does not keep their order.
    """
    os.dup2(1, 2)
    take_key()  # before any other code runs and before the first fork
    assignment = Assignment.from_text(Path(protocol.ASSIGNMENT_FILE).read_text(encoding="utf-8"))
    code = None
    if assignment.keep_log:
        from podgraph.runtime.pod.logs import keep_log

        # The log of a pod that only reports the graph belongs to no step.
        code = keep_log(assignment.storage, assignment.prefix if assignment.op or not assignment.ahead else "")
    if code is None:
        try:
            code = main(assignment)
        except PodTerminated:
            sys.stderr.write("podgraph: the pod was stopped while its step was running\n")
            code = EXIT_CODE
    _flush()
    os._exit(code)


def _flush() -> None:
    """Flush both streams, even if the user's code has replaced or closed them."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


if __name__ == "__main__":
    run()
