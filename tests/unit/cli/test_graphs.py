"""`podgraph job list`, `print` and `scaffold-config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from podgraph.cli.graphs import mermaid
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from unit.cli.running import ARITHMETIC, podgraph, written

NESTED = '''
from podgraph import In, Nothing, Out, graph, job, op, resource

@resource(config_schema={"url": str})
def db(context): ...

@op(out={"a": Out(), "b": Out(is_required=False)})
def load(table: str, limit: int = 10): ...

@op(ins={"start": In(Nothing)}, config_schema={"mode": str}, required_resource_keys={"db"})
def save(x): ...

@graph
def store(x):
    save(x)

@job(resource_defs={"db": db})
def my_job():
    """Loads and stores.

    Daily.
    """
    a, b = load()
    store(a)

@job
def other():
    load()
'''


def test_list(tmp_path: Path) -> None:
    file = written(tmp_path, NESTED)
    assert podgraph("job", "list", "-f", file) == (0, "my_job  2 ops  Loads and stores.\nother   1 op\n", "")
    told = json.loads(podgraph("job", "list", "-f", file, "--output", "json")[1])
    assert told[1] == {"name": "other", "ops": 1, "description": ""}


def test_list_of_a_file_without_jobs(tmp_path: Path) -> None:
    assert podgraph("job", "list", "-f", written(tmp_path, "x = 1\n")) == (0, "", "")


def test_print_as_a_tree(tmp_path: Path) -> None:
    status, out, err = podgraph("job", "print", "-f", written(tmp_path, NESTED), "-j", "my_job")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "my_job  2 ops",
        "├── load(table: str, limit: int) → a, b?",
        "└── store",
        "    └── save(x: Any, start: Nothing) → result ← load",
    ]


def test_print_as_json_is_what_the_operator_reads(tmp_path: Path) -> None:
    text = podgraph("job", "print", "-f", written(tmp_path, ARITHMETIC), "--json")[1]
    assert Graph.from_json(text).order == ("return_one", "add_two", "multi_three")


def test_mermaid_has_subgraphs_and_names_its_edges() -> None:
    graph = Graph.of(
        "j",
        [
            Op("a"),
            Op("g.b", (Input("x", (OutputRef("a"),)),)),
            Op("g.h.c", (Input("start", (OutputRef("g.b"),), ordering=True),)),
            Op("k.d", after=("a",)),
        ],
    )
    assert mermaid(graph).splitlines() == [
        "flowchart TD",
        '  n0["a"]',
        '  subgraph g_g["g"]',
        '    n1["b"]',
        '    subgraph g_g__h["h"]',
        '      n2["c"]',
        "    end",
        "  end",
        '  subgraph g_k["k"]',
        '    n3["d"]',
        "  end",
        "  n0 -->|x| n1",
        "  n1 -.->|start| n2",
        "  n0 -.-> n3",
    ]


def test_mermaid_of_the_seed(tmp_path: Path) -> None:
    status, out, _ = podgraph("job", "print", "-f", written(tmp_path, ARITHMETIC), "--mermaid")
    assert (status, out.splitlines()[0], out.splitlines()[-1]) == (0, "flowchart TD", "  n1 -->|i| n2")


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        (
            [],
            {
                "ops": {"load": {"inputs": {"table": "..."}}, "store": {"ops": {"save": {"config": {"mode": "..."}}}}},
                "resources": {"db": {"config": {"url": "..."}}},
            },
        ),
        (["-o", "load"], {"ops": {"load": {"inputs": {"table": "..."}}}}),
        (["-o", "load", "--all"], {"ops": {"load": {"inputs": {"table": "...", "limit": 10}}}}),
    ],
)
def test_scaffolded_config(tmp_path: Path, arguments: list[str], config: object) -> None:
    status, out, err = podgraph(
        "job", "scaffold-config", "-f", written(tmp_path, NESTED), "-j", "my_job", *arguments
    )  # fmt: skip
    assert (status, err) == (0, "")
    told = yaml.safe_load(out)
    assert {key: value for key, value in told.items() if key in config} == config  # type: ignore[operator]


def test_a_job_that_needs_no_config(tmp_path: Path) -> None:
    assert podgraph("job", "scaffold-config", "-f", written(tmp_path, ARITHMETIC)) == (0, "{}\n", "")


def test_the_schema_of_run_config(tmp_path: Path) -> None:
    out = podgraph("job", "scaffold-config", "-f", written(tmp_path, NESTED), "-j", "my_job", "--schema")[1]
    assert json.loads(out)["properties"]["resources"]["required"] == ["db"]


def test_help_imports_nothing_slow() -> None:
    """`podgraph --help` is to answer at once: what takes long to import waits until a command needs it."""
    import subprocess
    import sys

    from unit.cli.running import environment

    code = (
        "import sys, podgraph.cli\n"
        "sys.argv = ['podgraph', '--help']\n"
        "try:\n    podgraph.cli.main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'rich', 'yaml', 'kubernetes', 'pydantic', 'podgraph.runtime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_completion_is_there(tmp_path: Path) -> None:
    status, out, _ = podgraph("--help")
    assert status == 0
    assert "--install-completion" in out
