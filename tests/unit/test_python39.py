"""What runs in step images fits Python 3.9, proved from its text: no interpreter is needed, so this never skips.

`tests/unit/runtime/test_process.py` runs it under a Python 3.9 where there is one. Here the grammar is that of 3.9 by
Python's own parser and by ruff, and names that 3.10 brought are not used. mypy finds later ones: `make lint` checks
these packages as Python 3.10 too, the oldest that mypy knows.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import podgraph
from podgraph.cluster.runtime_archive import _PARTS

PACKAGE = Path(podgraph.__file__).parent
FILES = sorted(
    f for part in _PARTS for f in ([PACKAGE / part] if part.endswith(".py") else (PACKAGE / part).rglob("*.py"))
)

NEW_NAMES = {
    "builtins": "aiter anext EncodingWarning BaseExceptionGroup ExceptionGroup",
    "asyncio": "Runner TaskGroup timeout timeout_at",
    "base64": "b32hexencode b32hexdecode",
    "contextlib": "aclosing AsyncContextDecorator chdir",
    "dataclasses": "KW_ONLY",
    "inspect": "get_annotations",
    "itertools": "pairwise batched",
    "os": "eventfd splice",
    "statistics": "correlation covariance linear_regression",
    "sys": "orig_argv stdlib_module_names exception",
    "threading": "getprofile gettrace",
    "types": "EllipsisType NoneType NotImplementedType UnionType",
    "typing": "Concatenate Never ParamSpec Self TypeAlias TypeGuard is_typeddict override",
}
NEW_MODULES = {"tomllib", "wsgiref.types", "compression"}
NEW_METHODS = {"bit_count", "hardlink_to", "add_note"}
NEW_KEYWORDS = {
    "zip": {"strict"}, "dataclass": {"slots", "kw_only", "match_args", "weakref_slot"}, "field": {"kw_only"},
    "bisect_left": {"key"}, "bisect_right": {"key"}, "insort": {"key"}, "glob": {"root_dir"}, "realpath": {"strict"},
    "entry_points": {"group", "name"},
}  # fmt: skip
NAMES = {module: set(names.split()) for module, names in NEW_NAMES.items()}
TYPES = {"int", "str", "float", "bool", "bytes", "list", "dict", "set", "tuple", "type", "object", "Any", "None"}


def annotations(tree: ast.AST) -> set[int]:
    """Return the nodes of annotations: with the import from __future__ they are not evaluated."""
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            found.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.returns)
    return {id(inner) for node in found if node is not None for inner in ast.walk(node)}


def is_type(node: ast.expr) -> bool:
    """Whether an operand of `|` is a type, as far as its text tells."""
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id in TYPES)


def too_new(text: str) -> Iterator[str]:
    """Yield what Python 3.9 does not have, with the line that uses it."""
    tree = ast.parse(text, feature_version=(3, 9))
    unread = annotations(tree)
    if unread and not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        yield "1: annotations are evaluated: add `from __future__ import annotations`"
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.If, ast.IfExp))
        and any(w in ast.unparse(node.test) for w in ("version_info", "hasattr("))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unread or id(node) in guarded:
            continue
        for name in _new(node):
            yield f"{getattr(node, 'lineno', 0)}: {name}"


def _new(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in NEW_MODULES)
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.name for alias in node.names if alias.name in NAMES.get(node.module or "", ()))
        if node.module in NEW_MODULES:
            yield node.module
    elif isinstance(node, ast.Name) and node.id in NAMES["builtins"]:
        yield node.id
    elif isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.attr in NAMES.get(node.value.id, ()):
            yield f"{node.value.id}.{node.attr}"
        elif node.attr in NEW_METHODS:
            yield f".{node.attr}"
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        yield from (f"{name}({k.arg}=)" for k in node.keywords if k.arg in NEW_KEYWORDS.get(name, ()))
        if (
            name in ("format_exception", "print_exception")
            and len(node.args) == 1
            and "traceback" in ast.unparse(node.func)
        ):
            yield f"traceback.{name}(error) alone"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and (is_type(node.left) or is_type(node.right)):
        yield f"{ast.unparse(node)} outside an annotation"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_uses_nothing_newer_than_3_9(path: Path) -> None:
    assert list(too_new(path.read_text())) == []


def ruff(*paths: Path | str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("ruff"), "check", "--isolated", "--no-cache", "--quiet", "--select", "E9"]
    return subprocess.run(
        [*command, "--target-version", "py39", *paths], input=text, capture_output=True, text=True, check=False
    )


def test_ruff_finds_no_later_grammar() -> None:
    done = ruff(*FILES)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TypeAlias", "import types\ntypes.NoneType", "import tomllib", "zip(a, b, strict=True)",
        "Number = int | None", "isinstance(x, str | bytes)", "def f(x: int | None): ...",
        "@dataclass(slots=True)\nclass A: ...", "(7).bit_count()", "traceback.format_exception(error)", "aiter(x)",
    ],
)  # fmt: skip
def test_what_is_newer_is_found(text: str) -> None:
    assert len(list(too_new(text))) == 1


def test_what_an_older_python_does_not_reach_is_not_meant() -> None:
    text = """
from __future__ import annotations
if sys.version_info >= (3, 10):
    types.UnionType
def f(x: int | None):
    return n.bit_count() if hasattr(n, "bit_count") else 1 | 2
"""
    assert list(too_new(text)) == []


def test_newer_grammar_is_found() -> None:
    with pytest.raises(SyntaxError):
        list(too_new("match x:\n    case 1: ...\n"))
    assert "Python 3.9" in ruff("-", text='print(f"{x["a"]}")\n').stdout


def test_all_that_pods_run_is_looked_at() -> None:
    assert len(FILES) > 70
