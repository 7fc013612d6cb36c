"""The pages for developers name only what exists: files, modules, layers and make targets."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "podgraph"
OPTIONAL = {"SECURITY.md"}  # is checked where it exists
NAMES = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", *OPTIONAL]
PAGES = {name: (ROOT / name).read_text() for name in NAMES if name not in OPTIONAL or (ROOT / name).exists()}
KINDS = "py|md|ya?ml|toml|tsx?|json|js|sh|txt"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(rf"[\w.*/-]+(?:\.(?:{KINDS})|/)")
MODULE = re.compile(r"podgraph(?:\.\w+)+")


def words(page: str) -> set[str]:
    """Return what a page has between backticks."""
    return set(re.findall(r"`([^`\n]+)`", FENCE.sub("", PAGES[page])))


def paths(page: str) -> list[str]:
    """Return the paths that a page names or links to."""
    links = {link for link in re.findall(r"\]\(([^)#\s]+)\)", PAGES[page]) if "://" not in link}
    return sorted((links | {word for word in words(page) if PATH.fullmatch(word)}) - OPTIONAL)


def modules(page: str) -> list[str]:
    """Return the modules, and what in them, that a page names; `podgraph.dev` is the API group."""
    return sorted(w for w in words(page) if MODULE.fullmatch(w) and not w.startswith("podgraph.dev"))


def is_there(path: str) -> bool:
    """Whether a file or folder of this name, or one that a pattern matches, is in the repository or in the package."""
    return any(any(root.glob(path)) if "*" in path else (root / path).exists() for root in (ROOT, PACKAGE))


@pytest.mark.parametrize(("page", "path"), [(page, path) for page in PAGES for path in paths(page)])
def test_a_path_exists(page: str, path: str) -> None:
    assert is_there(path), f"{page} names {path}, which does not exist"


@pytest.mark.parametrize(("page", "name"), [(page, name) for page in PAGES for name in modules(page)])
def test_a_module_exists(page: str, name: str) -> None:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            found = getattr(found, attribute)
        return


TARGETS = sorted({(page, target) for page in PAGES for target in re.findall(r"\bmake ([a-z][a-z-]*)`", PAGES[page])})


@pytest.mark.parametrize(("page", "target"), TARGETS)
def test_a_make_target_exists(page: str, target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{page} names make {target}"


@pytest.mark.parametrize("package", ["podgraph", "podgraph.planning"])
def test_the_layers_are_those_that_the_linter_enforces(package: str) -> None:
    (text,) = (body for kind, body in FENCE.findall(PAGES["ARCHITECTURE.md"]) if kind == f"layers {package}")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (
        contract["layers"]
        for contract in contracts
        if contract["type"] == "layers" and contract["layers"][0].partition(" ")[0].rpartition(".")[0] == package
    )
    assert text.splitlines() == [layer.replace(f"{package}.", "") for layer in layers]


def test_each_room_of_planning_is_described() -> None:
    rooms = {
        f"planning/{folder.name}/" for folder in (PACKAGE / "planning").iterdir() if (folder / "__init__.py").exists()
    }
    assert rooms <= words("ARCHITECTURE.md")


def test_there_is_something_to_look_at() -> None:
    assert len(paths("ARCHITECTURE.md")) > 60
    assert "podgraph.definition.jobs.JobDefinition" in modules("ARCHITECTURE.md")
    assert not is_there("planning/no_such_file.py")
