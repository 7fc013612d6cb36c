"""What the bench decides and shows; what it measures needs a cluster."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bench import bare, gap, local, plots, react, scale, schedules, shapes
from bench.__main__ import PARTS, RANGES, Part, chosen, main, told
from bench.kwok import our_stages
from bench.numbers import gaps, percentile, summary
from bench.process import Notes, Usage
from bench.report import Row, holds, outside, table
from bench.world import in_turns
from cluster.kube import KubeError

ROUND = {"seconds": 4.0, "cpu": 0.2, "peak_mib": 80.0, "writes": 101, "job_bytes": 20_480}


def entry(steps: int, **other: float) -> dict[str, Any]:
    return scale.merged(steps, [{**ROUND, **other}], [{"seconds": 3.8}])


FOUND: dict[str, dict[str, Any]] = {
    "local": {
        "in_process": {"podgraph": 25e-6, "dagster": 4.6e-3},
        "command": {"podgraph": 0.33, "dagster": 5.8},
        "start": {"import": 0.02, "help": 0.1},
        "lengths": {str(n): {"run_us": 25.0, "peak_mib": 60.0} for n in local.LENGTHS},
    },
    "page": {
        "first_paint": 0.6,
        "list_update": 0.1,
        "run_update": 0.1,
        "graph": 1.0,
        "scripts_kb": 300.0,
        "server_mib": 120.0,
    },
    "react": {
        "first_pod_seconds": [0.011, 0.043],
        "reaction_seconds": [0.0005, 0.011],
        "steps": 10,
        "seconds": [1.0],
        "bare_seconds": [0.996],
    },
    "gap": {
        "chains": {case.says: {"gaps": [0.12, 0.14, 0.63], "writes": [2.1]} for case in gap.CASES},
        "bare": {"3 s of work": [2.0, 2.1], "no work": [1.9, 2.0]},
    },
    "shapes": {name: {"seconds": [5.0], "bare_seconds": [6.0], "pods": 4} for name in shapes.SHAPES},
    "modes": {
        "in_process_ms": [0.15],
        "code": {"resolve_pods": [1], "begin_seconds": [1.8]},
        "definition": {"resolve_pods": [0], "begin_seconds": [0.9]},
        "peaks": {kind: {"make": 1.02, "use": 1.08} for kind in ("claim", "S3")},
    },
    "fan-out": {str(n): entry(n, cpu=n / 1_000, writes=n + 8) for n in (100, 1_000, 2_000)},
    "ahead": {"20": entry(100, writes=215)},
    "schedules": {
        "schedules": 1_000,
        "burst_seconds": [n / 100 for n in range(100)],
        "bare_seconds": [n / 200 for n in range(100)],
        "idle_share": 0.004,
        "config_map_seconds": [0.1, 0.3],
        "job_seconds": [0.2],
    },
    "jobs": {str(n): entry(10 * n, cpu=n / 100, writes=25 * n) for n in (1, 500)},
}


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([5.0, 1.0, 3.0], part) for part in (1, 50, 99, 100)] == [1.0, 3.0, 5.0, 5.0]
    assert summary([2.0, 1.0, 4.0, 3.0]) == {"count": 4, "p50": 2.0, "p99": 4.0, "max": 4.0}


def test_gaps_are_between_neighbours_in_time() -> None:
    assert gaps([(5.0, 6.0), (0.0, 1.0), (1.5, 4.0)]) == [0.5, 1.0]
    assert gaps([(0.0, 1.0)]) == []


def test_each_part_comes_to_rows_and_each_range_is_about_one() -> None:
    ranges = tomllib.loads(RANGES.read_text())
    assert set(FOUND) == set(PARTS) >= set(ranges)
    for name, part in PARTS.items():
        rows = part.rows(FOUND[name])
        assert len({row.name for row in rows}) == len(rows)
        assert set(ranges.get(name, {})) <= {row.name for row in rows}
        assert outside(rows, ranges.get(name, {})) == []


def test_a_range_is_about_the_ratio_and_about_the_value_of_what_has_no_peer() -> None:
    ranges = {"gap": "<= 0.15", "memory": "<= 120", "rate": ">= 0.6"}
    slow_machine = [Row("gap", 2.0, beside=20.0), Row("memory", 100.0), Row("rate", 3.0, beside=4.0)]
    assert outside(slow_machine, ranges) == []
    worse = [Row("gap", 0.4, beside=2.0), Row("memory", 121.0), Row("rate", 5.0, beside=10.0), Row("other", 9.0)]
    assert outside(worse, ranges) == [
        "gap: ratio 0.2 is not <= 0.15", "memory: value 121 is not <= 120", "rate: ratio 0.5 is not >= 0.6"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "bar", "kept"),
    [(1.0, "<= 1", True), (1.01, "<= 1", False), (0.9, ">= 0.9", True), (0.8, ">= 0.9", False)],
)
def test_bars(value: float, bar: str, kept: bool) -> None:
    assert holds(value, bar) is kept


def test_the_table_says_which_bars_are_missed() -> None:
    shown = table([
        Row("gap, p50", 0.25, "s", "<= 0.2", 2.0, "bare pods", "<= 0.1", "27 gaps"),
        Row("resolve pods", 0, bar="<= 1"),
        Row("small Jobs", 12_345.6, "ms"),
    ])  # fmt: skip
    head, _, *lines = shown.splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *lines)] == [
        ["what", "podgraph", "bar", "beside it", "ratio", "bar of the ratio"],
        ["gap, p50 (27 gaps)", "0.25 s", "<= 0.2 MISSED", "bare pods 2 s", "0.125", "<= 0.1 MISSED"],
        ["resolve pods", "0", "<= 1", "", "", ""],
        ["small Jobs", "12,346 ms", "", "", "", ""],
    ]  # fmt: skip
    assert len({len(line) for line in shown.splitlines()}) == 1


def test_the_bars_are_about_the_widths_they_name_or_the_widest() -> None:
    full = {row.name: row for row in scale.fan_out_rows(FOUND["fan-out"] | {"5000": entry(5_000, job_bytes=900_000)})}
    assert [row.of for row in full.values()] == ["1,000 wide", "2,000 wide", "2,000 wide", "2,000 wide", "5,000 wide"]
    assert full["operator CPU a step"].beside == 1.0
    assert full["size of the Job at its end"].value == pytest.approx(878.9, abs=0.1)
    quick = scale.fan_out_rows({"100": entry(100), "300": entry(300, cpu=0.9)})
    assert {row.of for row in quick} == {"300 wide"}
    assert {row.name: row.ratio for row in quick}["operator CPU a step"] == pytest.approx(1.5)


def test_rounds_come_to_their_medians_by_step() -> None:
    ours = [{**ROUND, "seconds": seconds, "cpu": cpu} for seconds, cpu in ((5.0, 0.1), (4.0, 0.3), (9.0, 0.2))]
    one = scale.merged(100, ours, [{"seconds": 4.0}, {"seconds": 8.0}, {"seconds": 2.0}])
    assert (one["steps_per_second"], one["bare_per_second"]) == (20.0, 25.0)
    assert (one["cpu_ms_per_step"], one["writes_per_step"], one["rounds"]) == (2.0, 1.01, 3)


def test_small_jobs_are_chains_and_fan_outs_of_ten() -> None:
    jobs = scale.small_jobs(3)
    assert {name: len(graph) for name, graph in jobs.items()} == {"j0": 10, "j1": 10, "j2": 10}
    assert jobs["j0"]["s9"] == ("s8",)
    assert set(jobs["j1"]["s9"]) == {f"s{at}" for at in range(1, 9)}
    assert set(scale.wide_job(3)["fan-3"].values()) == {()}


def test_neither_side_of_a_comparison_is_always_first() -> None:
    taken: list[str] = []

    async def turn(name: str, at: int) -> str:
        taken.append(f"{name}{at}")
        return f"{name}{at}"

    found = asyncio.run(in_turns(3, lambda at: turn("a", at), lambda at: turn("b", at)))
    assert found == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    assert taken == ["a0", "b0", "b1", "a1", "a2", "b2"]


def test_what_was_used_between_two_looks() -> None:
    before = Usage(1.0, 50.0, {"POST pods": 2, "GET pods": 1})
    used = Usage(1.5, 60.0, {"POST pods": 5, "GET pods": 1, "PATCH jobs/status": 2}).since(before)
    assert (used.cpu, used.peak_mib, used.writes) == (0.5, 60.0, 5)
    assert used.requests == {"POST pods": 3, "PATCH jobs/status": 2}


def test_a_reaction_is_from_a_steps_end_to_the_next_ones_pod() -> None:
    keys = [f"chain-0/s{at}" for at in range(react.CHAIN)]
    notes = Notes(
        posted={key: float(at) for at, key in enumerate(keys)},
        pods={key: f"pod-{at}" for at, key in enumerate(keys)},
        ended={f"pod-{at}": at + 0.75 for at in range(react.CHAIN)},
    )
    assert react.reactions(notes, "chain-0", react.CHAIN) == [0.25] * (react.CHAIN - 1)


def test_a_bare_pod_has_the_image_and_rights_of_a_step_and_nothing_of_ours() -> None:
    like = {
        "securityContext": {"runAsNonRoot": True},
        "volumes": [{"name": "podgraph"}],
        "containers": [
            {"name": "step", "image": "i", "env": [], "volumeMounts": [], "command": ["python3", "/x/runtime.pyz"],
             "terminationMessagePath": "/dev/end"},
        ],
    }  # fmt: skip
    spec = bare.python_spec(like, 3)
    [container] = spec["containers"]
    assert set(spec) == {"securityContext", "containers"}
    assert set(container) == {"name", "image", "command", "terminationMessagePath"}
    assert "time.sleep(3)" in container["command"][2]
    assert "/dev/end" in container["command"][2]
    assert "volumes" in like


def test_what_waits_is_not_complete_on_a_fake_node() -> None:
    owned = "    - key: '.metadata.ownerReferences.[].kind'\n      operator: 'In'\n"
    stages = our_stages(f"kind: Stage\n    matchExpressions:\n{owned}")
    assert stages.endswith(owned)
    assert (
        "'.metadata.labels[\"podgraph.dev/ahead\"]'\n      operator: 'NotIn'\n      values:\n      - 'waiting'"
        in stages
    )
    with pytest.raises(KubeError, match="not as expected"):
        our_stages("kind: Stage\n")


def test_the_plots_data() -> None:
    assert plots.bins([0.31, 0.12, 0.149, 0.1]) == {0.1: 3, 0.3: 1}
    points = plots.costs({"1000": FOUND["fan-out"]["1000"], "100": FOUND["fan-out"]["100"]})
    assert points["steps"] == [100, 1_000]
    assert points["cpu_ms_per_step"] == [1.0, 1.0]


def test_each_plot_is_written_when_its_parts_were_measured(tmp_path: Path) -> None:
    assert [path.name for path in plots.draw(FOUND, tmp_path)] == ["gap.png", "scale.png"]
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("gap.png", "scale.png"))
    assert plots.draw({"local": FOUND["local"]}, tmp_path) == []


@pytest.mark.parametrize(
    ("gaps_found", "troubles", "status"), [([0.12], [], 0), ([1.9], [], 1), ([0.12], ["modes: no cluster"], 2)]
)
def test_the_exit_status_tells_a_regression_and_what_could_not_be_measured(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gaps_found: list[float],
    troubles: list[str],
    status: int,
) -> None:
    monkeypatch.setattr("bench.__main__.CHECKOUT", tmp_path)
    monkeypatch.setattr("bench.__main__.FOLDER", tmp_path)
    monkeypatch.setattr("bench.plots.draw", lambda found, folder: [folder / f"{name}.png" for name in found])
    chains = {case.says: {"gaps": gaps_found, "writes": [2.0]} for case in gap.CASES}
    assert told({"gap": {"chains": chains, "bare": FOUND["gap"]["bare"]}}, troubles, quick=True) == status
    out, err = capsys.readouterr()
    assert ("WORSE THAN ITS RANGE: gap, 3 s of work, prestart 1, p50" in out) is (status == 1)
    assert ("error: modes: no cluster" in err) is (status == 2)
    assert "written: gap.json, gap.png" in out
    assert [path.name for path in tmp_path.iterdir()] == ["gap.json"]


def test_what_cannot_be_measured_does_not_keep_the_others_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(quick: bool) -> dict[str, Any]:
        raise ExceptionGroup("while making pods", [RuntimeError("POST pods: 403")])

    def some(quick: bool) -> dict[str, Any]:
        return {"quick": quick}

    def rows(found: dict[str, Any]) -> list[Row]:
        return [Row("quick", float(found["quick"]))]

    parts = {"one": Part("first", rows, alone=none), "two": Part("second", rows, alone=some)}
    monkeypatch.setattr("bench.__main__.PARTS", parts)
    monkeypatch.setattr("bench.__main__.CHECKOUT", tmp_path)
    monkeypatch.setattr("bench.__main__.FOLDER", tmp_path)
    monkeypatch.setenv("BENCH", "quick")
    assert main() == 2
    out, err = capsys.readouterr()
    assert "error: one could not be measured: POST pods: 403" in err
    assert "| quick | 1 " in out
    assert json.loads((tmp_path / "two.json").read_text())["found"] == {"quick": True}
    assert main(["two"]) == 0
    assert "first" not in capsys.readouterr().out


def test_a_quick_look_leaves_out_what_is_long_unless_that_is_asked_for() -> None:
    assert not {"schedules", "page"} & set(chosen((), quick=True))
    assert chosen((), quick=False) == list(PARTS)
    assert chosen(("schedules", "gap"), quick=True) == ["gap", "schedules"]


def test_what_schedules_come_to() -> None:
    told = {row.name: (row.value, row.bar) for row in schedules.rows(FOUND["schedules"])}
    assert told["full minute of schedules, tick to Job, p99"] == (0.98, "<= 1")
    assert told["schedules between ticks"] == (0.4, "<= 1")
    assert told["ConfigMap changed to Job, max"] == (0.3, "<= 0.5")


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps"]) == 2
    assert "there is no part 'gaps' of the bench; there are: local, page, react, gap" in capsys.readouterr().err
