"""The plots: how long the gaps are, and what a step costs against how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["bins", "costs", "draw"]

BIN_SECONDS = 0.05
COSTS = {"fan-out": "one wide Job", "jobs": "Jobs of ten steps at once"}
"""The parts whose cost is drawn, and what they are called there."""


def bins(values: Sequence[float], width: float = BIN_SECONDS) -> dict[float, int]:
    """Return how many values are in each bin that has any, by the bin's lower edge.

    >>> bins([0.12, 0.149, 0.31], 0.05)
    {0.1: 2, 0.3: 1}
    """
    found: dict[float, int] = {}
    for value in sorted(values):
        edge = round(value / width // 1 * width, 6)
        found[edge] = found.get(edge, 0) + 1
    return found


def costs(found: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return what is drawn of a part of bench.scale, each against its steps.

    >>> one = {"steps": 100, "cpu_ms_per_step": 1.2, "steps_per_second": 30, "bare_per_second": 31}
    >>> costs({"100": one})
    {'steps': [100], 'cpu_ms_per_step': [1.2], 'steps_per_second': [30], 'bare_per_second': [31]}
    """
    ordered = sorted(found.values(), key=lambda one: one["steps"])
    keys = ("steps", "cpu_ms_per_step", "steps_per_second", "bare_per_second")
    return {key: [one[key] for one in ordered] for key in keys}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what there is of the parts that have a plot; return the files."""
    import matplotlib

    matplotlib.use("agg")
    made = []
    if "gap" in found:
        made.append(_draw_gaps(found["gap"], folder / "gap.png"))
    if parts := {name: costs(found[name]) for name in COSTS if name in found}:
        made.append(_draw_costs(parts, folder / "scale.png"))
    return made


def _draw_gaps(found: Mapping[str, Any], path: Path) -> Path:
    from matplotlib import pyplot

    series = {f"podgraph, {says}": chain["gaps"] for says, chain in found["chains"].items()}
    series |= {f"bare pods, {work}": values for work, values in found["bare"].items()}
    longest = max(map(max, series.values())) + BIN_SECONDS
    figure, rows = pyplot.subplots(
        len(series), 1, figsize=(8, 1.4 * len(series)), sharex=True, layout="constrained", squeeze=False
    )
    for at, (axes, (says, values)) in enumerate(zip(rows.flat, series.items(), strict=True)):
        counts = bins(values)
        color = "tab:gray" if says.startswith("bare") else "tab:blue"
        axes.bar(counts.keys(), counts.values(), width=BIN_SECONDS, align="edge", color=color)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_title(f"{says} ({len(values)} gaps)", fontsize=9, loc="left")
        axes.set(xlim=(0, longest), ylabel="gaps", xlabel="seconds between steps" if at == len(series) - 1 else "")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _draw_costs(parts: Mapping[str, Mapping[str, list[float]]], path: Path) -> Path:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for name, points in parts.items():
        left.plot(points["steps"], points["cpu_ms_per_step"], marker="o", label=COSTS[name])
        [line] = right.plot(points["steps"], points["steps_per_second"], marker="o", label=f"podgraph, {COSTS[name]}")
        right.plot(
            points["steps"], points["bare_per_second"], marker="x", linestyle="--", color=line.get_color(),
            label=f"bare pods, {COSTS[name]}",
        )  # fmt: skip
    left.set(xscale="log", xlabel="steps", ylabel="operator CPU a step, ms", ylim=0)
    right.set(xscale="log", xlabel="steps", ylabel="steps a second", ylim=0)
    for axes in (left, right):
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
