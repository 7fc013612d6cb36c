"""What a person sees of code that cannot be imported, and of Ctrl-C before a command has begun."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from podgraph import cli
from podgraph.protocol import step as protocol
from podgraph.protocol.step import Assignment
from podgraph.runtime.__main__ import work
from podgraph.runtime.pod.link import Link
from podgraph.runtime.pod.output import PodOutput
from unit.cli.running import podgraph, written

NOISY = """
def load():
    raise KeyError("inner")

try:
    load()
except KeyError as e:
    raise RuntimeError("outer problem, see the cause") from e
"""
SAID = (
    "the code cannot be imported: RuntimeError: outer problem, see the cause (noisy.py line 8); "
    "the first error was KeyError: 'inner' (noisy.py line 3 in load)"
)


@pytest.mark.parametrize("command", ["job execute", "job launch", "definition apply", "job print"])
def test_the_traceback_is_the_users(tmp_path: Path, command: str) -> None:
    file = written(tmp_path, NOISY, "noisy.py")
    status, out, err = podgraph(*command.split(), "-f", file)
    assert (status, out) == (2, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert 'noisy.py", line 3, in load' in err
    assert "podgraph/" not in err
    assert err.endswith(f"\nerror: {SAID}\n")


def test_the_pods_log_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, NOISY, "noisy.py")
    monkeypatch.setattr(protocol, "CODE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    record = work(Assignment(nonce="n", op="", run_id="", file="noisy.py"), PodOutput(), Link(""))
    assert (record.outcome, record.reason, record.message) == ("Failed", "CodeError", SAID)
    err = capsys.readouterr().err
    assert 'noisy.py", line 3, in load' in err
    assert err.endswith(f"CodeError: {SAID}\n")


def test_a_file_that_still_imports_dagster_is_not_sent(tmp_path: Path) -> None:
    file = written(tmp_path, "from dagster import job, op\n", "old.py")
    status, _, err = podgraph("job", "launch", "-f", file, "--kubeconfig", tmp_path / "none")
    assert (status, "import op, job and the others from podgraph instead" in err.splitlines()[-1]) == (2, True)


def test_ctrl_c_at_the_start_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("podgraph.cli.app.app.add_typer", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
