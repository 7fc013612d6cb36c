from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import podgraph
from podgraph.cluster.runtime_archive import build_archive
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Record, record_text_in


def test_the_same_sources_have_the_same_name() -> None:
    assert build_archive().digest == build_archive().digest
    assert len(build_archive().digest) == 64


def test_a_pod_with_our_python_compiles_none_of_it(tmp_path: Path) -> None:
    archive = tmp_path / "runtime.pyz"
    archive.write_bytes(base64.b64decode(build_archive().archive))
    code = "import podgraph.runtime.pod.step as s; print(s.__file__, s.run_step.__code__.co_filename)"
    env = {"PYTHONPATH": str(archive)}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True)
    where, told = done.stdout.split()
    assert where == f"{archive}/podgraph/runtime/pod/step.pyc"
    assert told == "/podgraph/runtime.pyz/podgraph/runtime/pod/step.py", (
        "by which its own lines are kept out of tracebacks"
    )


def test_another_python_takes_the_sources(tmp_path: Path) -> None:
    archive = tmp_path / "runtime.pyz"
    with (
        zipfile.ZipFile(io.BytesIO(base64.b64decode(build_archive().archive))) as old,
        zipfile.ZipFile(archive, "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, b"\0\0\r\n" + data[4:] if name.endswith(".pyc") else data)
    code = "import podgraph.runtime.pod.step as s; print(s.__file__)"
    env = {"PYTHONPATH": str(archive)}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{archive}/podgraph/runtime/pod/step.py\n"


def test_it_holds_what_a_step_needs_and_nothing_of_the_operator() -> None:
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(build_archive().archive))).namelist()
    assert "__main__.py" in names
    assert "podgraph/__init__.py" in names
    assert "podgraph/runtime/pod/step.py" in names
    parts = {name.split("/")[1] for name in names if name.count("/") == 2}
    assert parts == {"definition", "protocol", "run_config", "runtime"}
    assert len(build_archive().archive) < 800_000  # a ConfigMap takes 1 MiB


def test_it_runs_an_op_with_the_standard_library_alone(tmp_path: Path) -> None:
    """The pod's paths are set to a folder of the test's; `-S -I` keeps everything installed out of reach."""
    (tmp_path / "runtime.pyz").write_bytes(base64.b64decode(build_archive().archive))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "job.py").write_text(
        "from podgraph import job, op\n\n@op\ndef twice(i: int):\n    return 2 * i\n\n@job\ndef j():\n    twice()\n"
    )
    assignment = {"op": "twice", "nonce": "n", "run_id": "r", "file": "job.py", "inputs": {"i": 21}}
    (tmp_path / "assignment").write_text(json.dumps(assignment))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'runtime.pyz')!r})\n"
        "from podgraph.protocol import step as protocol\n"
        f"protocol.ASSIGNMENT_FILE = {str(tmp_path / 'assignment')!r}\n"
        f"protocol.TERMINATION_FILE = {str(tmp_path / 'record')!r}\n"
        f"protocol.CODE_DIR = {str(tmp_path / 'code')!r}\n"
        "from podgraph.runtime.__main__ import run\n"
        "run()\n"
    )
    command = [sys.executable, "-S", "-I", "-c", script]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, timeout=30)
    text = record_text_in([(tmp_path / "record").read_text()], Signer("n"))
    assert text is not None
    assert Record.from_text(text).outputs == {"result": 42}


def test_every_module_of_it_can_be_imported_from_it(tmp_path: Path) -> None:
    """Also those in folders of folders, which an image has from nowhere else."""
    archive = tmp_path / "runtime.pyz"
    archive.write_bytes(base64.b64decode(build_archive().archive))
    with zipfile.ZipFile(archive) as opened:
        files = [name for name in opened.namelist() if name.startswith("podgraph/") and name.endswith(".py")]
    names = [name[:-3].replace("/", ".") for name in files]
    root = Path(podgraph.__file__).parent
    parts = ("definition", "protocol", "run_config", "runtime")
    sources = {p.relative_to(root.parent).with_suffix("") for part in parts for p in (root / part).rglob("*.py")}
    assert {".".join(source.parts) for source in sources} <= set(names)
    modules = [name.removesuffix(".__init__") for name in names]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    print(importlib.import_module(name).__file__)"
    command = [sys.executable, "-S", "-c", code, *modules]
    done = subprocess.run(command, env={"PYTHONPATH": str(archive)}, capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert len(found) == len(modules)
    assert all(file.startswith(f"{archive}/podgraph/") for file in found)
