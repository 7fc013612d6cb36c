"""Importing a user's code: the job in it, and errors that point into it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from podgraph import DefinitionError, job, op
from podgraph.runtime import load
from podgraph.runtime.load import CodeRef, find_job, import_file, import_module, own_frames, where

GOOD = """
from podgraph import job, op

@op
def one():
    return 1

@job
def main():
    one()
"""


@pytest.fixture(autouse=True)
def _clean_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let code in `tmp_path` be imported, and forget it afterwards."""
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in set(sys.modules) - set(before):
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)) or name == "user_job":
            del sys.modules[name]


def written(folder: Path, source: str, name: str = "user_job.py") -> str:
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return str(path)


def refusal(folder: Path, source: str) -> tuple[str, str]:
    path = written(folder, source)
    errors = []
    for how in (lambda: import_file(path), lambda: import_module("user_job")):
        sys.modules.pop("user_job", None)
        with pytest.raises(DefinitionError) as caught:
            how()
        errors.append((caught.value.reason, caught.value.message))
    assert errors[0] == errors[1]
    return errors[0]


def test_a_file(tmp_path: Path) -> None:
    module = import_file(written(tmp_path, GOOD))
    assert sys.modules["user_job"] is module
    assert find_job(module).graph.order == ("one",)
    assert find_job(import_module("user_job"), "main").name == "main"


def test_what_pickle_and_dataclasses_need(tmp_path: Path) -> None:
    source = """
        from __future__ import annotations
        import dataclasses, pickle
        @dataclasses.dataclass
        class Row:
            x: int
        again = pickle.loads(pickle.dumps(Row(3)))
    """
    assert import_file(written(tmp_path, source)).again.x == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = = 2\n", "the code does not compile: SyntaxError: invalid syntax (user_job.py line 2)"),
        (
            "def f():\nreturn 1\n",
            "the code does not compile: IndentationError: expected an indented block",
        ),
        (
            "\nimport no_such_thing\n",
            "the code cannot be imported: ModuleNotFoundError: No module named 'no_such_thing' (user_job.py line 2)",
        ),
        (
            "from json import no_such\n",
            "the code cannot be imported: ImportError: cannot import name 'no_such' from 'json'",
        ),
        ("\n\n1 / 0\n", "the code cannot be imported: ZeroDivisionError: division by zero (user_job.py line 3)"),
        (
            "def f():\n    raise KeyError('x')\n\nf()\n",
            "the code cannot be imported: KeyError: 'x' (user_job.py line 2 in f)",
        ),
        ("import sys\nsys.exit(3)\n", "the code cannot be imported: SystemExit: 3 (user_job.py line 2)"),
        ("\nopen('/no/such/file')\n", "the code cannot be imported: FileNotFoundError: [Errno 2] No such file"),
        (
            "import json\n\ndef f():\n    json.loads('{')\nf()\n",
            "the code cannot be imported: JSONDecodeError: Expecting property name enclosed in double quotes: line 1 "
            "column 2 (char 1) (user_job.py line 4 in f)",
        ),
        ("\neval('1 +')\n", "the code does not compile: SyntaxError: invalid syntax (user_job.py line 2)"),
    ],
)
def test_code_errors(tmp_path: Path, source: str, message: str) -> None:
    reason, found = refusal(tmp_path, source)
    assert reason == "CodeError"
    assert found.startswith(message)
    assert "(user_job.py line " in found


def test_an_error_in_a_second_file(tmp_path: Path) -> None:
    written(tmp_path, "x = 1\ndef f(v):\n    return v['x']\n", "user_helper.py")
    assert refusal(tmp_path, "import user_helper\nuser_helper.f({})\n")[1].endswith("'x' (user_helper.py line 3 in f)")
    written(tmp_path, "x = 1\n1 / 0\n", "user_broken.py")
    assert refusal(tmp_path, "\nimport user_broken\n")[1].endswith("division by zero (user_broken.py line 2)")
    written(tmp_path, "x = 1\ny = = 2\n", "user_worse.py")
    message = refusal(tmp_path, "\nimport user_worse\n")[1]
    assert message == "the code does not compile: SyntaxError: invalid syntax (user_worse.py line 2)"


@pytest.mark.parametrize(
    ("body", "reason", "start", "line"),
    [
        ("one(x=1)", "UnknownInput", "op 'one' has no input 'x'", 10),
        ("list(one())", "InvalidGraph", "output 'result' of op 'one' cannot be unpacked", 10),
        ("pass", "NoOps", "job 'main' calls no op", 8),
    ],
)
def test_definition_errors_name_the_users_line(tmp_path: Path, body: str, reason: str, start: str, line: int) -> None:
    found = refusal(tmp_path, GOOD.replace("    one()\n", f"    {body}\n"))
    assert found[0] == reason
    assert found[1].startswith(start)
    assert found[1].endswith(f" (user_job.py line {line})")


def test_a_definition_error_of_the_users_own(tmp_path: Path) -> None:
    start = "from podgraph import DefinitionError\n"
    assert refusal(tmp_path, start + "raise DefinitionError('Own', 'it is mine')") == (
        "Own",
        "it is mine (user_job.py line 2)",
    )
    assert refusal(tmp_path, start + "raise DefinitionError('no word', None)")[0] == "CodeError"


def test_missing_files_and_modules(tmp_path: Path) -> None:
    for path, message in (
        (str(tmp_path / "none.py"), f"file {str(tmp_path / 'none.py')!r} does not exist"),
        (str(tmp_path / "a.txt"), f"{str(tmp_path / 'a.txt')!r} is not a Python file; its name must end in .py"),
    ):
        with pytest.raises(DefinitionError) as caught:
            import_file(path)
        assert (caught.value.reason, caught.value.message) == ("CodeError", message)
    for name in ("no_such_module", "json.no_such", "user_job.sub"):
        written(tmp_path, GOOD)
        with pytest.raises(DefinitionError) as caught:
            import_module(name)
        assert caught.value.reason == "CodeError"
        assert caught.value.message.startswith("the code cannot be imported: ModuleNotFoundError: No module named ")


def module_of(**names: object) -> ModuleType:
    module = ModuleType("m")
    vars(module).update(names)
    return module


@op
def one() -> int:
    return 1


def test_find_job() -> None:
    first, second, twin = (job(name=name)(lambda: one()) for name in ("first", "second", "first"))
    assert find_job(module_of(a=first, b=first, c=one, d=3)) is first
    assert find_job(module_of(a=first, b=second), "second") is second
    for names, wanted, reason, message in (
        ({}, "", "NoJob", "the code has no @job; it must have one function with that decorator"),
        ({"one": one}, "x", "UnknownJob", "the code has no @job named 'x'; there are none"),
        ({"a": first}, "frist", "UnknownJob", "the code has no @job named 'frist'; did you mean 'first'?"),
        ({"b": second, "a": first}, "", "SeveralJobs", "the code has 2 jobs (first, second); select one with --job"),
        ({"a": first, "b": twin}, "", "SeveralJobs", "the code has several jobs named 'first'; names must be unique"),
        ({"b": twin, "a": first, "c": second}, "first", "SeveralJobs", "the code has several jobs named 'first'"),
    ):
        with pytest.raises(DefinitionError) as caught:
            find_job(module_of(**names), wanted)  # type: ignore[arg-type]
        assert caught.value.reason == reason
        assert caught.value.message.startswith(message)
    assert find_job(module_of(a=first, b=twin, c=second), "second") is second


def raised(source: str, filename: str) -> BaseException:
    """Return the error of `source`, run as if it stood in `filename`."""
    try:
        exec(compile(source, filename, "exec"), {})
    except (ArithmeticError, ValueError) as error:
        tb = error.__traceback__
        assert tb is not None
        return error.with_traceback(tb.tb_next)
    raise AssertionError


def test_whose_line_it_is() -> None:
    code = "def f():\n    1 / 0\nf()"
    assert where(raised(code, "/app/job.py")) == " (job.py line 2 in f)"
    assert where(raised(code, "/env/lib/python3.11/site-packages/jobs/main.py")) == " (main.py line 3)"
    package = str(Path(load.__file__).parents[1])
    assert where(raised(code, package + "_jobs/job.py")) == " (job.py line 2 in f)"
    assert where(raised(code, package + "/x.py")) == ""
    assert own_frames(raised(code, package + "/x.py").__traceback__) is None


def failure(path: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        import_file(path)
    return caught.value


def test_a_failing_import_shows_the_users_traceback_and_where_it_began(tmp_path: Path) -> None:
    written(tmp_path, "def load():\n    import no_such_library\n", "user_deep.py")
    source = """
        import user_deep
        try:
            user_deep.load()
        except ImportError as e:
            raise RuntimeError("outer problem, see the cause") from e
    """
    error = failure(written(tmp_path, source))
    assert error.message == (
        "the code cannot be imported: RuntimeError: outer problem, see the cause (user_job.py line 6); "
        "the first error was ModuleNotFoundError: No module named 'no_such_library' (user_deep.py line 2 in load)"
    )
    assert "direct cause" in error.stack
    assert 'user_deep.py", line 2, in load' in error.stack
    assert "podgraph" not in error.stack.replace("pytest-of", "")
    assert "importlib" not in error.stack
    assert "user_job" not in sys.modules  # not half imported


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "try:\n    import no_a\nexcept ImportError:\n    import no_b\n",
            "the first error was ModuleNotFoundError: No module",
        ),
        ("class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E\n", "E: "),
        ("raise ValueError('a' * 10_000_000 + 'the end')", "the end (user_job.py line 1)"),
        ("def f(n):\n    f(n + 1)\nf(0)\n", "RecursionError"),
        ("import dagster_no_such\n", "import op, job and the others from podgraph instead"),
        (
            "from podgraph import asset\n",
            "it is a name of Dagster: podgraph has ops and jobs, not assets",
        ),
        (
            "import podgraph\npodgraph.Definitions\n",
            "leave it out; podgraph finds the jobs, schedules and sensors",
        ),
        ("from podgraph import jobb\n", "did you mean 'job'?"),
        ("e = ValueError('x')\ne.__cause__ = e\nraise e\n", "ValueError: x (user_job.py line 3)"),
    ],
)
def test_errors_of_any_kind_are_told_in_bounds(tmp_path: Path, source: str, said: str) -> None:
    error = failure(written(tmp_path, source))
    assert said in error.message
    assert len(error.message) < 2_500
    assert 0 < len(error.stack) < 70_000
    assert "\n" not in error.message


def test_code_that_does_not_compile_shows_where(tmp_path: Path) -> None:
    written(tmp_path, "x = 1\ny = = 2\n", "user_wrong.py")
    error = failure(written(tmp_path, "import user_wrong\n"))
    assert 'user_job.py", line 1, in <module>' in error.stack
    assert "y = = 2" in error.stack
    assert failure(str(tmp_path / "user_wrong.py")).stack == ""  # the sentence has the place


def test_a_file_in_a_package_is_a_module_of_it(tmp_path: Path) -> None:
    package = tmp_path / "user_pkg" / "sub"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    written(package.parent, "VALUE = 3\n", "shared.py")
    source = "from ..shared import VALUE\nimport user_pkg.shared\nimport pickle\nclass Row: pass\n" + GOOD
    path = written(package, source + "again = pickle.loads(pickle.dumps(Row()))\n", "jobs.py")
    before = list(sys.path)
    try:
        module = CodeRef(file=path).module_of()
        assert sys.path[0] == str(tmp_path)
    finally:
        sys.path[:] = before
    assert (module.__name__, module.VALUE, module.main.name) == ("user_pkg.sub.jobs", 3, "main")
    assert import_file(path) is module


@pytest.mark.parametrize("name", ["report-v1.2.py", "random.py", "podgraph.py", "queue.py"])
def test_a_file_of_any_name(tmp_path: Path, name: str) -> None:
    import random

    import podgraph

    module = import_file(written(tmp_path, f"import pickle\nclass Row: pass\nrow = pickle.dumps(Row())\n{GOOD}", name))
    assert type(pickle.loads(module.row)) is module.Row
    assert find_job(module).name == "main"
    assert (sys.modules["random"], sys.modules["podgraph"]) == (random, podgraph)
    del sys.modules[module.__name__]


def test_a_file_beside_the_code_hides_nothing_of_ours(tmp_path: Path) -> None:
    written(tmp_path, "raise SystemExit('this is not Python\\'s own')\n", "random.py")
    policy = "@op(retry_policy=RetryPolicy(max_retries=1, delay=0.01, jitter=Jitter.FULL))\n"
    source = f"from podgraph import RetryPolicy, Jitter\n{GOOD}".replace("@op\n", policy)
    path = written(tmp_path, source.replace("return 1", "raise ValueError('own')"))
    done = subprocess.run(
        [sys.executable, "-m", "podgraph.cli", "job", "execute", "-f", path, "--executor", "in_process"],
        env={**os.environ, "PYTHONPATH": str(Path(load.__file__).parents[2])}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, "ValueError: own" in done.stderr) == (1, True), done.stderr
    assert "Python's own" not in done.stderr
    hint = failure(written(tmp_path, "from random import mine\n")).message
    assert hint.endswith("random.py next to the code has the name of a standard library module: rename it")
