"""Telling what goes on: timed steps, commands with a limit, and one clear line when something fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT_SECONDS = 30


class Failure(Exception):
    """A foreseeable problem: one line for a person, and the end of the log that explains it."""

    def __init__(self, line: str, log: Path | None = None):
        super().__init__(line)
        self.line = line
        self.log_tail = tail(log) if log else []


def tail(log: Path, lines: int = 8) -> list[str]:
    """The last lines of a log, or nothing where there is none."""
    try:
        return log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def say(text: str) -> None:
    """Print one line at once, even into a pipe."""
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Name a long part before it starts, and say how long it took when it is done."""
    print(f"{title} …", end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(seconds(time.monotonic() - started), flush=True)


def seconds(duration: float) -> str:
    """A duration as people read it: tenths only where they matter."""
    return f"{duration:.1f} s" if duration < 10 else f"{duration:.0f} s"


def wait_for(what: str, ready: Callable[[], bool], limit: float, log: Path | None = None) -> None:
    """Poll until `ready`, at most `limit` seconds; then say what was waited for."""
    deadline = time.monotonic() + limit
    while not ready():
        if time.monotonic() > deadline:
            raise Failure(f"waited {limit:.0f} s for {what}, in vain", log)
        time.sleep(0.1)


def run(
    command: Sequence[str],
    what: str,
    *,
    log: Path,
    limit: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    heartbeat: Callable[[], str] | None = None,
) -> None:
    """Run a long command with its output in `log`; print what `heartbeat` says every half minute."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, cwd=cwd,
            )  # fmt: skip
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    started = next_beat = time.monotonic()
    try:
        while True:
            try:
                status = process.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            if now - started > limit:
                raise Failure(f"{what} took more than {limit:.0f} s and was stopped", log)
            if heartbeat and now - next_beat > HEARTBEAT_SECONDS:
                next_beat = now
                print(f"\n  {now - started:.0f} s: {heartbeat()}", end=" ", flush=True)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status != 0:
        raise Failure(f"{what} failed with status {status} (log: {log})", log)


def output_of(command: Sequence[str], limit: float = 30) -> str:
    """What a short command prints; a failure carries the command's own last line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command[:3])} did not answer within {limit:.0f} s") from None
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
        raise Failure(f"{' '.join(command[:4])}: {reason}")
    return done.stdout


def printed_by(command: Sequence[str], limit: float = 30) -> str | None:
    """What a short command prints, or nothing when it fails, hangs or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def succeeds(command: Sequence[str], limit: float = 30) -> bool:
    """Whether a short command ends well in time; a missing program counts as not."""
    return printed_by(command, limit) is not None


def tell_failure(failure: Failure) -> None:
    """The error on one line, then the end of the log concerned, indented."""
    print(f"error: {failure.line}", file=sys.stderr)
    for line in failure.log_tail:
        print(f"  | {line}", file=sys.stderr)


def is_overlay(folder: Path) -> bool:
    """Whether a folder lies on an overlay (a checkout inside a container), which cannot carry another."""
    return "overlay" in output_of(["stat", "--file-system", "--format=%T", str(folder)])
