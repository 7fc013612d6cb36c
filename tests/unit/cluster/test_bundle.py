from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from podgraph.cluster.bundle import bundle


def test_the_same_sources_give_the_same_bytes() -> None:
    assert bundle() == bundle()
    data = base64.b64decode(bundle().archive)
    assert hashlib.sha256(data).hexdigest() == bundle().digest


def test_it_holds_what_a_step_needs_and_nothing_of_the_operator() -> None:
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(bundle().archive))).namelist()
    assert "__main__.py" in names
    assert "podgraph/__init__.py" in names
    assert "podgraph/runtime/step.py" in names
    parts = {name.split("/")[1] for name in names if name.count("/") == 2}
    assert parts == {"definition", "run_config", "runtime"}
    assert len(base64.b64decode(bundle().archive)) < 200_000  # a ConfigMap takes 1 MiB


def test_it_runs_an_op_with_the_standard_library_alone(tmp_path: Path) -> None:
    """The pod's paths are set to a folder of the test's; `-S -I` keeps everything installed out of reach."""
    (tmp_path / "runtime.pyz").write_bytes(base64.b64decode(bundle().archive))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "job.py").write_text(
        "from podgraph import job, op\n\n@op\ndef twice(i: int):\n    return 2 * i\n\n@job\ndef j():\n    twice()\n"
    )
    assignment = {"op": "twice", "nonce": "n", "run_id": "r", "file": "job.py", "inputs": {"i": 21}}
    (tmp_path / "assignment").write_text(json.dumps(assignment))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'runtime.pyz')!r})\n"
        "from podgraph.runtime import protocol\n"
        f"protocol.ASSIGNMENT_FILE = {str(tmp_path / 'assignment')!r}\n"
        f"protocol.TERMINATION_FILE = {str(tmp_path / 'record')!r}\n"
        f"protocol.CODE_DIR = {str(tmp_path / 'code')!r}\n"
        "from podgraph.runtime.__main__ import run\n"
        "run()\n"
    )
    command = [sys.executable, "-S", "-I", "-c", script]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, timeout=30)
    record = json.loads((tmp_path / "record").read_text())
    assert (record["nonce"], record["outcome"], record["outputs"]) == ("n", "Succeeded", {"result": 42})
