"""What runs a script op's script, in the shells that are here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from podgraph.planning.manifests import shell_runner
from podgraph.planning.manifests.shell_runner import (
    LATE,
    TOKEN_VARIABLE,
    ended_in,
    ending,
    exports,
    in_shared_pod,
    is_shell,
    runner,
)
from podgraph.planning.model.spec import ContainerSpec
from podgraph.protocol.step import TERMINATION_FILE

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
HOSTILE = 'it\'s $HOME `x` \\ "q"\nnew  line ü'


class Box:
    """A folder that plays the pod's mounts."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder, self.shell = folder, shell
        self.out, self.inputs = folder / "out", folder / "inputs"
        self.out.touch()
        self.env = {TOKEN_VARIABLE: "n1"}
        self.before_pid = ""  # what the shell does once the script runs and before it knows its number

    def start(self, script: str, wait: int = 0, *args: str) -> subprocess.Popen[str]:
        text = runner(wait).replace(shell_runner.SCRIPT_FILE, str(self.folder / "script"))
        text = text.replace(shell_runner.INPUTS_FILE, str(self.inputs)).replace(TERMINATION_FILE, str(self.out))
        assert text.count("\n_podgraph_pid=$!") == 1
        text = text.replace("\n_podgraph_pid=$!", f"\n{self.before_pid}\n_podgraph_pid=$!")
        for name, content in (("script", script), ("start", text)):
            (self.folder / name).write_text(content)
            (self.folder / name).chmod(0o755)
        env = {**os.environ, "PODGRAPH_OUTPUT": str(self.out), "_podgraph_token": "x", **self.env}
        command = [self.shell, str(self.folder / "start"), *args]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

    def run(self, script: str, wait: int = 0, *args: str) -> tuple[int, list[str]]:
        process = self.start(script, wait, *args)
        out, _ = process.communicate(timeout=20)
        return process.returncode, out.split("\n")

    def give(self, **inputs: str) -> None:
        new = self.folder / "new"
        new.write_text(exports(inputs))
        new.replace(self.inputs)


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Box:
    return Box(tmp_path, request.param)


def test_it_waits_for_the_inputs_and_tells_what_was_written(box: Box) -> None:
    timer = threading.Timer(0.2, lambda: box.give(INPUT_X=HOSTILE))
    timer.start()
    code, lines = box.run(
        '#!/bin/sh -e\necho "$1"\nprintf "a=1\\nb=%s" "$INPUT_X" > "$PODGRAPH_OUTPUT"\n', 20, "an arg"
    )
    assert code == 0
    assert lines[0] == "an arg"
    assert ended_in(lines, "n1") == box.out.read_text() == f"a=1\nb={HOSTILE}"
    assert ended_in(lines, "n2") is None


def test_no_inputs_at_all_are_inputs_too(box: Box) -> None:
    box.give()
    assert box.run("#!/bin/sh\n", 20)[0] == 0


def test_nothing_comes_in_time(box: Box) -> None:
    assert box.run("#!/bin/sh\n", 1) == (75, [""])


def test_what_it_is_told_by_sigterm_while_it_waits_is_to_go(box: Box) -> None:
    process = box.start("#!/bin/sh\n", 60)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


@pytest.mark.parametrize("code", [1, 3, 126, 127])
def test_a_failure_is_not_told_by_lines(box: Box, code: int) -> None:
    assert box.run(f"#!/bin/sh\necho a=1 > $PODGRAPH_OUTPUT\nexit {code}\n") == (code, [""])


def test_sigterm_reaches_the_script_and_its_own_exit_code_counts(box: Box) -> None:
    process = box.start('#!/bin/sh\ntrap "echo bye; exit 9" TERM\nsleep 20 > /dev/null & echo up\nwait\n')
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 9
    assert process.stdout.read() == "bye\n"


def test_sigterm_reaches_a_script_that_has_only_just_begun(box: Box) -> None:
    box.before_pid = "sleep 0.5"
    process = box.start('#!/bin/sh\ntrap "echo bye; exit 9" TERM\nsleep 20 > /dev/null & echo up\nwait\n')
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 9
    assert process.stdout.read() == "bye\n"


@pytest.mark.parametrize("script", ["exec sleep 30", "trap 'exit 0' TERM; while :; do sleep 0.1; done"])
def test_a_script_whose_time_is_over_is_ended_and_that_is_told(box: Box, script: str) -> None:
    box.inputs.write_text(exports({}, 0.3))
    begun = time.monotonic()
    assert box.run(f"#!/bin/sh\n{script}\n", 20) == (LATE, [""])
    assert time.monotonic() - begun < 15


def test_one_that_is_done_in_time_is_not(box: Box) -> None:
    box.inputs.write_text(exports({"INPUT_X": "1"}, 30))
    code, lines = box.run('#!/bin/sh\necho "x=$INPUT_X" > "$PODGRAPH_OUTPUT"\n', 20)
    assert (code, ended_in(lines, "n1")) == (0, "x=1\n".strip())


def test_one_that_is_not_to_run_is_told_to_end(box: Box) -> None:
    box.inputs.write_text(ending())
    assert box.run("#!/bin/sh\necho never\n", 20) == (0, [""])


def test_a_command_is_run_by_a_script() -> None:
    spec = in_shared_pod("a", ContainerSpec("x", command=("sh", "-c"), args=("echo $0", "y")), "p")
    assert (spec.script, spec.command, spec.args) == ('exec "$@"', (), ("sh", "-c", "echo $0", "y"))
    own = ContainerSpec("x", script="#!/usr/bin/env python3\n1")
    assert in_shared_pod("a", own, "p") is own


def test_more_than_can_be_told_is_left_to_the_pod_s_status(box: Box) -> None:
    code, lines = box.run("#!/bin/sh\nyes a=1234567 | head -n 1000 > $PODGRAPH_OUTPUT\n")
    assert (code, lines) == (0, [""])


def test_the_script_and_what_it_starts_do_not_see_the_token(box: Box) -> None:
    code, lines = box.run("#!/bin/sh\nenv; set; export -p; sh -c env\necho a=1 > $PODGRAPH_OUTPUT\n")
    told = [line for line in lines if "n1" in line]
    assert code == 0
    assert told == ["::podgraph-output n1::a=1", "::podgraph-end n1::1"]


def test_without_a_token_nothing_is_told_by_lines(box: Box) -> None:
    box.env = {}
    assert box.run("#!/bin/sh\necho a=1 > $PODGRAPH_OUTPUT\n") == (0, [""])
    assert box.out.read_text() == "a=1\n"


def test_a_line_that_is_missing_is_missed() -> None:
    lines = ["open::podgraph-output n::a=1", "x", "::podgraph-output n::b=2", "::podgraph-end n::2"]
    assert ended_in(lines, "n") == "a=1\nb=2"
    assert ended_in(lines[1:], "n") is None
    assert ended_in(lines[:-1], "n") is None


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ("true", True),
        ("#!/bin/sh -e\n", True),
        ("#!/bin/bash\n", True),
        ("#!/usr/bin/env bash\n", True),
        ("#!/usr/bin/python3\n", False),
        ("#!/usr/bin/env python3\n", False),
        ("#!/bin/shiny\n", False),
        ("", False),
    ],
)
def test_what_is_a_shell_script(script: str, shell: bool) -> None:
    assert is_shell(ContainerSpec("busybox:1", script=script)) is shell


ENDED_BY_SIGINT = """#!/bin/sh
sh -c 'kill -INT $$; sleep 5; exit 3'
echo "x=$?" > "$PODGRAPH_OUTPUT"
trap 'echo trapped' INT
kill -INT $$
"""


def test_a_script_has_the_default_signal_dispositions(box: Box) -> None:
    begun = time.monotonic()
    code, lines = box.run(ENDED_BY_SIGINT)
    assert (code, lines[0], ended_in(lines, "n1")) == (0, "trapped", "x=130")
    assert time.monotonic() - begun < 5
    ignored = box.run("#!/bin/sh\ngrep SigIgn: /proc/self/status\n")[1][0].split()[1]
    assert int(ignored, 16) & (1 << signal.SIGINT - 1 | 1 << signal.SIGQUIT - 1) == 0


NAMES = ["late", "told", "early", "pid", "code", "again", "count", "line", "_limit", "_token", "_end", "_nap", "_looks"]


def test_no_variable_of_the_user_s_is_changed(box: Box) -> None:
    box.env.update(dict.fromkeys(NAMES, "mine"))
    box.give()
    code, lines = box.run("#!/bin/sh\nenv\n", 20)
    assert code == 0
    assert {f"{name}=mine" for name in NAMES} <= set(lines)


def test_the_outputs_of_a_script_that_fails_leave_room_for_its_log(box: Box) -> None:
    assert box.run("#!/bin/sh\necho a=1 > $PODGRAPH_OUTPUT\nexit 3\n")[0] == 3
    assert box.out.read_text() == ""


def test_nul_bytes_are_left_to_the_pod_s_status(box: Box) -> None:
    code, lines = box.run("#!/bin/sh\nprintf 'x=a\\000b\\n' > $PODGRAPH_OUTPUT\n")
    assert (code, ended_in(lines, "n1"), box.out.read_bytes()) == (0, None, b"x=a\0b\n")
