"""Run the command line as a person does, and the files to run it on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ARITHMETIC", "CHECKOUT", "podgraph", "written"]

COMMAND = [sys.executable, "-m", "podgraph.cli"]
LIMIT_SECONDS = 60
CHECKOUT = Path(__file__).parents[3]

ARITHMETIC = """
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
"""


def podgraph(*arguments: object, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run the command; return its exit status, standard output and standard error."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(), capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def environment() -> dict[str, str]:
    """Return an environment in which this checkout's podgraph runs, with no terminal's settings."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "operator"), "COLUMNS": "120", "TERM": "xterm"}


def written(folder: Path, source: str, name: str = "my_job.py") -> Path:
    """Write a file of code and return its path."""
    path = folder / name
    path.write_text(source)
    return path
