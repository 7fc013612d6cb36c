"""Only Steps writes the records of steps."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

import podgraph.planning
from podgraph.planning.model.status import StepRecord

ROOT = Path(podgraph.planning.__file__).parent
WRITER = ROOT / "steps" / "records.py"
FIELDS = {field.name for field in dataclasses.fields(StepRecord)}


def stores(tree: ast.AST) -> Iterator[str]:
    """Yield each write of a record: of a field of it, in its place, or past what marks it as changed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in FIELDS:
            if ast.unparse(node.value) not in ("self", "self.record"):  # a field of its own, or of a PodRecord
                yield ast.unparse(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value).endswith(("steps.records", "self.records")):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("_update", "transition") and ast.unparse(node.func.value) != "super()":
                yield ast.unparse(node.func)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "object.__setattr__"):
            yield ast.unparse(node.func)


def test_no_other_module_writes_a_record() -> None:
    found = {path.relative_to(ROOT): list(stores(ast.parse(path.read_text()))) for path in ROOT.rglob("*.py")}
    assert len(found) > 40
    assert found.pop(WRITER.relative_to(ROOT))
    assert {path: writes for path, writes in found.items() if writes} == {}


@pytest.mark.parametrize(
    "code",
    [
        "record.state = 'Failed'",
        "self.steps.records[step].pod_uid = uid",
        "record.attempt += 1",
        "a, record.reason = 1, ''",
        "self.steps.records[step] = replace(record, attempt=1)",
        "self.steps.transition(step, 'Failed')",
        "setattr(record, 'state', '')",
    ],
)
def test_each_way_to_write_one_is_found(code: str) -> None:
    assert len(list(stores(ast.parse(code)))) == 1


def test_a_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StepRecord().state = "Failed"  # type: ignore[misc]
