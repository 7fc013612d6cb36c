"""What `make demo` runs once the cluster, the images and the chart are there: Jobs, followed to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes import config
from rich.console import Console, Group
from rich.live import Live

from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import follow
from podgraph.cli.tree import StepView, job_tree, state_of, step_line

ROOT = Path(__file__).parents[1]
FILES = ["arithmetic.yaml", "arithmetic-selection.yaml", "storage/large-value.yaml"]
NAMES = ["arithmetic", "arithmetic-selection", "large-value"]
LIMIT_SECONDS = 180.0


def main() -> int:
    """Apply the examples, follow them, print their status; 0 when all succeeded with the right values."""
    console = Console()
    kubectl = [str(ROOT / ".cluster/bin/kubectl")]
    files = [argument for name in FILES for argument in ("-f", f"tests/examples/{name}")]
    subprocess.run([*kubectl, "delete", "--ignore-not-found", "--wait=true", *files], cwd=ROOT, check=True)
    console.print(f"$ kubectl apply {' '.join(files)}", style="bold")
    subprocess.run([*kubectl, "apply", *files], cwd=ROOT, check=True)
    config.load_kube_config(os.environ["KUBECONFIG"])
    try:
        jobs = show(console, follow(Cluster("default"), NAMES, LIMIT_SECONDS))
    except TimeoutError as error:
        console.print(f"error: {error}", style="red")
        subprocess.run([*kubectl, "get", "pods,events"], check=False)
        return 1
    console.print("\n$ kubectl get pgj", style="bold")
    subprocess.run([*kubectl, "get", "pgj", *NAMES], check=True)
    results = {name: (job["status"].get("steps") or {}) for name, job in jobs.items()}
    product = results["arithmetic"].get("multi_three", {}).get("outputs", {}).get("result")
    console.print(f"\nresult of arithmetic: [bold green]{product}[/]")
    console.print(f"steps of arithmetic-selection: {', '.join(sorted(results['arithmetic-selection']))}")
    stored = results["large-value"].get("make", {}).get("stored", {}).get("result", {}).get("size", 0)
    total = results["large-value"].get("total", {}).get("outputs", {}).get("result")
    console.print(f"large-value passed {stored:,} bytes from op to op: {total}", highlight=False)
    console.print(
        "\nTry next:\n"
        "  export KUBECONFIG=$PWD/.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH\n"
        "  kubectl describe pgj arithmetic\n"
        "  kubectl get pgj arithmetic -o jsonpath='{.status.steps}'\n"
        "  kubectl logs -l podgraph.dev/job=arithmetic,podgraph.dev/op=add_two\n"
        "  .venv/bin/podgraph job select -f tests/examples/arithmetic.yaml -o '*add_two'\n"
        "  make down",
        highlight=False,
        markup=False,
    )
    good = all(state_of(job) == "Succeeded" for job in jobs.values())
    good = good and product == "9" and set(results["arithmetic-selection"]) == {"return_one", "add_two"}
    return 0 if good and stored > 8_000_000 and total == "499999500000" else 1


def show(console: Console, changes: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Draw the Jobs as trees that live in a terminal, else print a line for each step's change; return their ends."""
    jobs: dict[str, dict[str, Any]] = {}
    said: set[str] = set()
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        for job in changes:
            jobs[job["metadata"]["name"]] = job
            if console.is_terminal:
                live.update(Group(*(job_tree(jobs[name]) for name in sorted(jobs))))
                continue
            for name, step in ((job.get("status") or {}).get("steps") or {}).items():
                line = f"{job['metadata']['name']}: {step_line(name, StepView.of_record(step)).plain}"
                if step["state"] != "Pending" and line not in said:
                    said.add(line)
                    print(line, flush=True)
    if not console.is_terminal:
        for name in sorted(jobs):
            console.print(job_tree(jobs[name]))
    return jobs


if __name__ == "__main__":
    sys.exit(main())
