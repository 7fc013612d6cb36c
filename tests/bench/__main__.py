"""Measure podgraph on a real cluster: `python -m bench` (`BENCH=quick` for fewer rounds).

(a) from the Job's POST to its first step's pod POST, one Job after another; (b) from the moment our watch tells that a
step ended to the next step's pod POST; (c) a chain of ten steps beside the same ten pods made by a few lines of code
that wait for each and make the next. Writes `.bench/first-light.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import aiohttp
import kopf

from bench.numbers import summary
from bench.watched import Notes, operator
from cluster.kube import CHECKOUT, Kube, KubeError, find_kube, job_manifest, new_namespace, no_other_operator
from podgraph.cluster.connection import connect, login

__all__ = ["main"]

IMAGE = "busybox:1"
CHAIN = 10
BAR = 1.10
WAIT_SECONDS = 120
RESULT = CHECKOUT / ".bench" / "first-light.json"
_JOBS = "/apis/podgraph.dev/v1alpha1/namespaces/{}/jobs"


@dataclass(frozen=True)
class Amounts:
    """How often each thing is measured."""

    jobs: int
    chains: int
    rounds: int


@dataclass(frozen=True)
class Bench:
    """What the measurements share."""

    session: aiohttp.ClientSession
    notes: Notes
    namespace: str

    async def post(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        async with self.session.post(path, json=manifest) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def watch(self, path: str, **params: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects under `path` as they are and as they change."""
        timeout = aiohttp.ClientTimeout(total=WAIT_SECONDS)
        async with self.session.get(path, params={"watch": "1", **params}, timeout=timeout) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)["object"]
        raise TimeoutError(f"the watch of {path} ended")

    async def run_job(self, name: str, ops: list[dict[str, Any]]) -> float:
        """Run a Job to its end and return when it was sent."""
        path, sent = _JOBS.format(self.namespace), time.monotonic()
        await self.post(path, job_manifest(name, ops=ops))
        async with contextlib.aclosing(self.watch(path, fieldSelector=f"metadata.name={name}")) as seen:
            async for job in seen:
                conditions = {c["type"]: c["status"] for c in job.get("status", {}).get("conditions", ())}
                if conditions.get("Finished") == "True":
                    if conditions["Succeeded"] != "True":
                        raise RuntimeError(f"job {name} failed: {job['status']}")
                    break
        return sent

    async def pods(self) -> list[dict[str, Any]]:
        async with self.session.get(f"/api/v1/namespaces/{self.namespace}/pods") as answer:
            return (await answer.json())["items"]

    async def clear(self) -> None:
        """Delete what a round left, and wait until the node is done with it (a forced deletion would not wait)."""
        for path in (_JOBS.format(self.namespace), f"/api/v1/namespaces/{self.namespace}/pods"):
            async with self.session.delete(path) as answer:
                answer.raise_for_status()
        end = time.monotonic() + WAIT_SECONDS
        while await self.pods():
            if time.monotonic() > end:
                raise TimeoutError("the pods of a round did not go")
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)


def op(name: str, after: str = "") -> dict[str, Any]:
    """Return a container op that does nothing."""
    return {"name": name, "image": IMAGE, "command": ["true"], **({"after": [after]} if after else {})}


def chain(count: int) -> list[dict[str, Any]]:
    return [op(f"s{at}", f"s{at - 1}" if at else "") for at in range(count)]


async def first_pods(bench: Bench, count: int) -> list[float]:
    """(a) Job POST sent -> first step's pod POST."""
    times = []
    for at in range(count):
        sent = await bench.run_job(f"one-{at}", [op("only")])
        times.append(bench.notes.posted[f"one-{at}", "only"] - sent)
        if at % 10 == 9:
            await bench.clear()
    await bench.clear()
    return times


def reactions(notes: Notes, job: str) -> list[float]:
    """(b) End of a step seen on our watch -> next step's pod POST, for one chain that has run."""
    pods = [notes.pod_of[job, f"s{at}"] for at in range(CHAIN)]
    return [notes.posted[job, f"s{at + 1}"] - notes.ended[pods[at]] for at in range(CHAIN - 1)]


async def by_podgraph(bench: Bench, name: str) -> float:
    """(c) Return the seconds of a chain as a Job: from its POST to the end of the last pod as our watch tells it."""
    sent = await bench.run_job(name, chain(CHAIN))
    return bench.notes.ended[bench.notes.pod_of[name, f"s{CHAIN - 1}"]] - sent


async def by_hand(bench: Bench, like: dict[str, Any], name: str) -> float:
    """(c) Return the seconds of the same chain as bare pods, each made when the one before it was seen to end.

    One watch, open before the clock starts: the least that any program could do.
    """
    path = f"/api/v1/namespaces/{bench.namespace}/pods"
    async with bench.session.get(path, params={"limit": "1"}) as answer:
        version = (await answer.json())["metadata"]["resourceVersion"]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{at}"}, "spec": like} for at in range(CHAIN)
    ]
    async with contextlib.aclosing(bench.watch(path, resourceVersion=version)) as seen:
        sent = time.monotonic()
        for pod in pods:
            await bench.post(path, pod)
            async for now in seen:
                if now["metadata"]["name"] != pod["metadata"]["name"]:
                    continue
                if now["status"].get("phase") == "Failed":
                    raise RuntimeError(f"pod {now['metadata']['name']} failed: {now['status']}")
                if any(c["state"].get("terminated") for c in now["status"].get("containerStatuses", ())):
                    break
        return time.monotonic() - sent


async def step_spec(bench: Bench) -> dict[str, Any]:
    """Return the spec the operator gives the pod of such a step, so that both sides run the same."""
    await bench.run_job("warm-up", chain(2))
    pods = [p for p in await bench.pods() if p["metadata"]["name"].startswith("warm-up-")]
    spec = pods[0]["spec"]
    for key in ("nodeName", "serviceAccount", "serviceAccountName", "tolerations", "preemptionPolicy", "priority"):
        spec.pop(key, None)
    await bench.clear()
    return spec


async def measure(kube: Kube, info: kopf.ConnectionInfo, amounts: Amounts) -> dict[str, Any]:
    """Run it all and return the figures."""
    async with connect(info) as session, operator(info, IMAGE) as notes:
        bench = Bench(session, notes, kube.namespace)
        like = await step_spec(bench)
        say(f"(a) {amounts.jobs} Jobs of one op, one after another")
        first = await first_pods(bench, amounts.jobs)
        say(f"(b) {amounts.chains} chains of {CHAIN} steps")
        react: list[float] = []
        for at in range(amounts.chains):
            await by_podgraph(bench, f"react-{at}")
            react += reactions(notes, f"react-{at}")
            await bench.clear()
        say(f"(c) {amounts.rounds} rounds of a chain of {CHAIN} steps, by podgraph and by hand")
        ours: list[float] = []
        hands: list[float] = []
        for at in range(amounts.rounds):
            turns = [(ours, by_podgraph(bench, f"chain-{at}")), (hands, by_hand(bench, like, f"hand-{at}"))]
            for times, turn in turns if at % 2 else reversed(turns):  # neither side always goes first
                times.append(await turn / CHAIN)
                await bench.clear()
            react += reactions(notes, f"chain-{at}")
            say(f"    round {at + 1}: {ours[-1]:.3f} s a step by podgraph, {hands[-1]:.3f} s by hand")
    pairs = [mine / theirs for mine, theirs in zip(ours, hands, strict=True)]
    return {
        "first_pod_seconds": summary(first),
        "reaction_seconds": summary(react),
        "chain": {
            "steps": CHAIN,
            "podgraph_seconds_per_step": [round(t, 4) for t in ours],
            "by_hand_seconds_per_step": [round(t, 4) for t in hands],
            "podgraph_median": round(median(ours), 4),
            "by_hand_median": round(median(hands), 4),
            "ratio": round(median(ours) / median(hands), 4),
            "ratios_by_round": [round(pair, 4) for pair in pairs],
            "bar": BAR,
        },
    }


def show(result: dict[str, Any]) -> None:
    """Print the figures as a table."""
    first, react, line = result["first_pod_seconds"], result["reaction_seconds"], result["chain"]
    say(f"\n{'':<44}{'n':>5}{'p50':>12}{'p99':>12}{'max':>12}")
    for title, part in (("Job applied -> first step's pod sent", first), ("step's end seen -> next pod sent", react)):
        shown = "".join(f"{part[key] * 1000:>9.2f} ms" for key in ("p50", "p99", "max"))
        say(f"{title:<44}{part['count']:>5}{shown}")
    ours, hands = line["podgraph_median"], line["by_hand_median"]
    title = f"chain of {line['steps']} steps, seconds a step (median)"
    say(f"\n{title:<44}{'podgraph':>12}{'by hand':>12}{'ratio':>12}")
    word = "met" if line["ratio"] <= BAR else "MISSED"
    say(f"{'':<44}{ours:>12.3f}{hands:>12.3f}{line['ratio']:>12.3f}   (bar {BAR:.2f}: {word})")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Measure, print, write the file; 1 when a bar was missed, 2 without a cluster."""
    logging.basicConfig(level=logging.ERROR)
    quick = os.environ.get("BENCH") == "quick"
    amounts = Amounts(jobs=10, chains=1, rounds=2) if quick else Amounts(jobs=40, chains=3, rounds=6)
    try:
        kube = find_kube()
        os.environ["KUBECONFIG"] = kube.kubeconfig
        kube.run("apply", "--server-side", "--force-conflicts", "-f", str(CHECKOUT / "crds"))
        with no_other_operator(kube), new_namespace(kube) as made:
            result = asyncio.run(measure(made, login(), amounts))
    except KubeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    result = {"at": stamp, "quick": quick, "cpus": os.cpu_count(), **result}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    say(f"\nwritten to {RESULT.relative_to(CHECKOUT)}")
    return 0 if result["chain"]["ratio"] <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
