"""The commands about Jobs, against an API server that breaks and refuses: what they print and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.fake import FakeCluster
from podgraph.planning.model.names import resolve_pod
from unit.cli.running import ARITHMETIC, environment, written

LIMIT_SECONDS = 60
Obj = dict[str, Any]


class Commands:
    """Runs `podgraph job ...` for a fake cluster."""

    def __init__(self, fake: FakeCluster, folder: Path) -> None:
        self.fake, self.folder = fake, folder
        self.kubeconfig = fake.kubeconfig(folder / "kubeconfig")
        self.env: dict[str, str] = {}

    async def start(self, *arguments: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "podgraph.cli", *map(str, arguments), "--kubeconfig", str(self.kubeconfig),
            env={**environment(), "COLUMNS": "40", **self.env}, cwd=self.folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int, str, str]:
        try:
            out, err = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        assert b"Traceback" not in err, err.decode()
        assert process.returncode is not None
        return process.returncode, (out or b"").decode(), err.decode()

    async def __call__(self, *arguments: object) -> tuple[int, str, str]:
        return await self.end(await self.start("job", *arguments))

    def job(self, name: str = "j", state: str = "", message: str = "", steps: Obj | None = None, **meta: Any) -> Obj:
        """Make a Job; with a state it has a status."""
        spec = {"ops": [{"name": "a", "image": "i", "command": ["true"]}]}
        made = self.fake.create(
            {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": name, **meta}, "spec": spec},
            meta.get("namespace", "default"),
        )
        if state:
            self.becomes(name, state, message, steps, meta.get("namespace", "default"))
        return made

    def becomes(
        self, name: str, state: str, message: str = "", steps: Obj | None = None, namespace: str = "default"
    ) -> None:
        status = "True" if state == "Succeeded" else "Unknown" if state == "Running" else "False"
        stamp = {"lastTransitionTime": "2026-01-01T00:00:00Z", "message": message, "reason": state}
        conditions = [{"type": "Succeeded", "status": status, **stamp}]
        conditions.append({"type": "Finished", "status": "False" if state == "Running" else "True", **stamp})
        told: Obj = {"conditions": conditions, "steps": steps or {}}
        self.fake.patch("jobs", namespace, name, {"status": told}, status=True)

    async def asked(self, path: str, count: int = 1) -> None:
        """Wait until the command has asked for something so often."""
        await self.fake.until(
            lambda: len(self.fake.calls("GET", path)) >= count, timeout=LIMIT_SECONDS, what=f"GET {path}"
        )


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Commands]:
    async with FakeCluster() as fake:
        yield Commands(fake, tmp_path)


LONG = "CodeError: the code cannot be imported: " + "x" * 400 + " the end"
FAILED = {"a": {"state": "Failed", "attempt": 1, "reason": "OpFailed", "message": "no " + "y" * 300 + " luck"}}


@pytest.mark.parametrize(
    ("state", "status"),
    [("Succeeded", 0), ("Failed", 1), ("Canceled", 1), ("DeadlineExceeded", 1), ("Refused", 2)],
)
async def test_a_finished_job_is_looked_at_once(run: Commands, state: str, status: int) -> None:
    run.job("j", state, LONG, FAILED)
    run.job("other", "Running")
    ended, out, err = await run("wait", "j", "--timeout", 0)
    assert (ended, err.splitlines()) == (status, [f"✗ a  Failed  OpFailed: {FAILED['a']['message']}"])
    assert FAILED["a"]["message"] in out  # whole, in a pipe of 40 columns
    assert (LONG in out) == (state != "Succeeded")
    assert [r.path.rpartition("/")[2] for r in run.fake.calls("GET", "/jobs")] == ["j"]


async def test_one_job_is_watched_and_not_the_namespace(run: Commands) -> None:
    run.job("j", "Running")
    waiting = await run.start("job", "wait", "j")
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, timeout=LIMIT_SECONDS, what="a watch")
    run.becomes("j", "Succeeded")
    assert (await run.end(waiting))[0] == 0
    assert [r.query["fieldSelector"] for r in run.fake.calls("GET", "/jobs$")] == ["metadata.name=j"]


async def test_a_wait_that_takes_too_long_says_what_becomes_of_the_job(run: Commands) -> None:
    run.job("j", "Running")
    status, _, err = await run("wait", "j", "--timeout", 1, "-n", "default")
    assert status == 3
    assert "error: after 1 s not finished: j; Job j continues; follow it: podgraph job logs -f j --namespace" in err
    assert "cancel it: podgraph job cancel j --namespace default" in err
    status, _, err = await run("wait", "j", "--timeout", 0, "--cancel-on-exit")
    assert (status, "Job j was canceled" in err) == (3, True)
    assert run.fake.get("jobs", "default", "j")["spec"]["cancel"] is True


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"status": 429}, {"drop": True}])
async def test_broken_connections_are_retried_and_told_of_once(run: Commands, fault: Obj) -> None:
    run.job("j", "Running")
    waiting = await run.start("job", "wait", "j", "--timeout", 50)
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, timeout=LIMIT_SECONDS, what="a watch")
    run.fake.fault("GET", "/jobs", times=4, **fault)
    run.fake.cut_watches("jobs")
    await run.asked("/jobs/j", 2)
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, LIMIT_SECONDS, what="a watch again")
    run.becomes("j", "Succeeded")
    status, _, err = await run.end(waiting)
    assert (status, err.count("retrying"), len(err.splitlines())) == (0, 1, 1), err


async def test_a_server_that_goes_away_ends_the_wait_as_unreachable(run: Commands) -> None:
    run.job("j", "Running")
    waiting = await run.start("job", "wait", "j", "--timeout", 3)
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, timeout=LIMIT_SECONDS, what="a watch")
    run.fake.fault("GET", "/jobs", times=None, drop=True)
    run.fake.cut_watches("jobs")
    status, _, err = await run.end(waiting)
    assert (status, "Job j may continue" in err) == (4, True), err


async def test_a_job_that_is_deleted_is_not_waited_for(run: Commands) -> None:
    run.job("j", "Running")
    waiting = await run.start("job", "wait", "j")
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, timeout=LIMIT_SECONDS, what="a watch")
    run.fake.delete("jobs", "default", "j")
    status, _, err = await run.end(waiting)
    assert (status, err) == (1, "error: Job 'j' was deleted before it finished\n")


@pytest.mark.parametrize(
    ("number", "option", "status", "said"),
    [(signal.SIGINT, [], 130, "continues; follow it"), (signal.SIGTERM, [], 143, "continues; follow it"),
     (signal.SIGTERM, ["--cancel-on-exit"], 143, "was canceled (--cancel-on-exit)")],
)  # fmt: skip
async def test_a_signal_says_what_becomes_of_the_job(
    run: Commands, number: int, option: list[str], status: int, said: str
) -> None:
    file = written(run.folder, ARITHMETIC)
    launching = await run.start("job", "launch", "-f", file, "--wait", *option)
    assert launching.stderr is not None
    first = (await asyncio.wait_for(launching.stderr.readline(), LIMIT_SECONDS)).decode()
    name = run.fake.objects("jobs")[0]["metadata"]["name"]
    assert first.startswith(f"Job {name} created; follow it: podgraph job logs -f {name} --kubeconfig ")
    await run.fake.until(lambda: run.fake.watch_count("jobs") == 1, timeout=LIMIT_SECONDS, what="a watch")
    launching.send_signal(number)
    ended, _, err = await run.end(launching)
    assert (ended, f"Job {name} {said}" in err) == (status, True), err
    assert bool(run.fake.get("jobs", "default", name)["spec"].get("cancel")) == bool(option)


async def test_a_cluster_without_our_kinds_says_so(run: Commands) -> None:
    file = written(run.folder, ARITHMETIC)
    run.fake.fault(path="podgraph.dev", times=None, status=404, message="404 page not found", reason="")
    for arguments in (["launch", "-f", file], ["list"], ["wait", "j"], ["logs", "j"]):
        status, _, err = await run(*arguments)
        assert (status, "podgraph is not installed in the cluster at http" in err) == (2, True), err
        assert "helm install podgraph" in err
    run.fake.faults.clear()
    status, _, err = await run("get", "j")
    assert (status, err) == (2, "error: cannot get the Job 'j': jobs.podgraph.dev \"j\" not found\n")


async def test_lists_of_jobs_are_selected(run: Commands) -> None:
    run.job("one", "Succeeded", labels={"team": "data"})
    run.job("two", "Failed", labels={"team": "data"})
    run.job("far", "Failed", namespace="other")
    _, out, _ = await run("list", "-l", "team=data", "--state", "failed,Refused")
    assert [line.split()[:2] for line in out.splitlines()] == [["NAME", "STATE"], ["two", "Failed"]]
    _, out, _ = await run("list", "-A")
    assert {tuple(line.split()[:3]) for line in out.splitlines()[1:]} == {
        ("default", "one", "Succeeded"), ("default", "two", "Failed"), ("other", "far", "Failed"),
    }  # fmt: skip
    _, out, _ = await run("list", "-o", "yaml", "-l", "team=data")
    assert out.count("kind: Job") == 2
    status, _, err = await run("list", "--state", "Failled")
    assert (status, "did you mean 'Failed'?" in err) == (2, True)


async def test_reports_for_ci(run: Commands) -> None:
    run.env["GITHUB_STEP_SUMMARY"] = str(run.folder / "summary.md")
    steps = {
        "a": {**FAILED["a"], "message": "a | <b> \x00\x1b line\nnext",
              "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01.500Z"},
        "add_two": {"state": "UpstreamFailed", "attempt": 0, "message": "not run: a failed"},
    }  # fmt: skip
    run.job("j", "Failed", "1 step failed", steps)
    status, _, _ = await run("wait", "j", "--junit", "report.xml")
    suite = ElementTree.parse(run.folder / "report.xml").getroot()[0]
    assert (status, suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == (1, "2", "1", "1")
    assert [(case.attrib["name"], case.attrib["time"]) for case in suite] == [("a", "1.500"), ("add_two", "0.000")]
    assert suite[0][0].attrib["type"] == "OpFailed"
    summary = (run.folder / "summary.md").read_text()
    assert "### j: Failed" in summary
    assert "| add_two | UpstreamFailed |" in summary
    assert r"OpFailed: a \| &lt;b>" in summary
    run.job("r", "Refused", "CodeError: no")
    assert (await run("wait", "r", "--junit", "report.xml"))[0] == 2
    suite = ElementTree.parse(run.folder / "report.xml").getroot()[0]
    assert [(case.attrib["name"], case[0].attrib["message"]) for case in suite] == [("r", "Refused: CodeError: no")]
    assert (run.folder / "summary.md").read_text().count("###") == 2  # behind what is there
    status, _, err = await run("wait", "r", "--junit", "there/is/none.xml")
    assert (status, "cannot write the report" in err) == (2, True)


def pod_of(run: Commands, step: str, *, started: bool = True, init: tuple[str, ...] = ()) -> str:
    """Make the pod of a step; return its name."""
    owner = run.fake.get("jobs", "default", "j")["metadata"]["uid"]
    made = run.fake.create(
        {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": f"j-{step.replace('_', '-')}", "labels": {"podgraph.dev/job-uid": owner},
                         "annotations": {"podgraph.dev/op": step}},
            "spec": {"nodeName": "node", "containers": [{"name": "step", "image": "i"}],
                     "initContainers": [{"name": name, "image": "i"} for name in init]},
        }
    )  # fmt: skip
    name = str(made["metadata"]["name"])
    if started:
        run.fake.run_pod("default", name)
    return name


async def test_one_bad_byte_and_one_unready_pod_hide_nothing(run: Commands) -> None:
    steps = {name: {"state": "Succeeded", "attempt": 1} for name in ("bad", "unready", "good")}
    run.job("j", "Failed", "", steps)
    for name in ("bad", "good"):
        pod = pod_of(run, name)
        uid = run.fake.get("pods", "default", pod)["metadata"]["uid"]
        run.fake.logs.of(uid).lines.append((0.0, b"caf\xe9 of " + name.encode() + b"\n"))
        run.fake.finish_pod("default", pod, 0, "")
    pod_of(run, "unready", started=False)
    status, out, err = await run("logs", "j")
    assert (status, sorted(out.splitlines())) == (0, ["bad | caf\ufffd of bad", "good | caf\ufffd of good"])
    assert len(err.splitlines()) == 1
    assert "unready" in err


async def test_logs_that_are_followed_end_as_the_job_does_and_survive_a_break(run: Commands) -> None:
    run.job("j", "Running", "", {"a": {"state": "Running", "attempt": 1}})
    pod = pod_of(run, "a")
    uid = run.fake.get("pods", "default", pod)["metadata"]["uid"]
    run.fake.logs.append(uid, "one\n")
    following = await run.start("job", "logs", "-f", "j")
    assert following.stdout is not None
    assert await asyncio.wait_for(following.stdout.readline(), LIMIT_SECONDS) == b"a | one\n"
    run.fake.fault("GET", "/jobs/j", times=2, drop=True)
    run.fake.logs.cut(uid)
    run.fake.logs.append(uid, "two\n")
    assert await asyncio.wait_for(following.stdout.readline(), LIMIT_SECONDS) == b"a | two\n"
    run.fake.finish_pod("default", pod, 1, "")
    run.becomes("j", "Failed", "", FAILED)
    status, out, err = await run.end(following)
    assert (status, out) == (1, ""), err


async def test_launch_with_logs_prints_them_behind_their_steps(run: Commands) -> None:
    launching = await run.start("job", "launch", "-f", written(run.folder, ARITHMETIC), "--logs", "--name", "j")
    await run.fake.until(lambda: run.fake.find("jobs", "default", "j"), LIMIT_SECONDS, what="the Job")
    pod = pod_of(run, "add_two")
    run.fake.logs.append(run.fake.get("pods", "default", pod)["metadata"]["uid"], "said\n")
    run.becomes("j", "Running", "", {"add_two": {"state": "Running", "attempt": 1}})
    assert launching.stdout is not None
    assert await asyncio.wait_for(launching.stdout.readline(), LIMIT_SECONDS) == b"add_two | said\n"
    run.fake.finish_pod("default", pod, 0, "")
    run.becomes("j", "Succeeded", "", {"add_two": {"state": "Succeeded", "attempt": 1}})
    status, out, _ = await run.end(launching)
    assert (status, "✓ add_two" in out) == (0, True)


async def test_what_yaml_takes_launch_takes(run: Commands) -> None:
    file = written(run.folder, ARITHMETIC)
    options = ["--execution", "in_process", "--storage", "claim", "--ttl", "2h", "--env", "A=1", "--env", "B=x=y",
               "--service-account", "robot", "--set", "execution.prestart=0", "--set", "tags.day=2026-01-02",
               "--set", "storage.logs=true"]  # fmt: skip
    status, out, err = await run("launch", "-f", file, "--name", "j", *options)
    assert (status, out) == (0, "j\n"), err
    spec = run.fake.get("jobs", "default", "j")["spec"]
    assert spec["execution"] == {"mode": "InProcess", "prestart": 0}
    assert spec["storage"] == {"claimRef": {"name": "claim"}, "logs": True}
    assert (spec["ttlSecondsAfterFinished"], spec["tags"]) == (7200, {"day": "2026-01-02"})
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}]
    containers = [{"name": "step", "env": env}]
    assert spec["podTemplate"]["spec"] == {"serviceAccountName": "robot", "containers": containers}
    status, _, err = await run("launch", "-f", file, "--set", "execution.prstart=0")
    assert (status, err) == (
        2, "error: --set execution.prstart: execution has no field 'prstart'; did you mean 'prestart'?\n",
    )  # fmt: skip


async def test_a_manifest_is_launched(run: Commands) -> None:
    file = run.folder / "job.yaml"
    file.write_text(
        "apiVersion: podgraph.dev/v1alpha1\nkind: Job\nmetadata: {generateName: m-, namespace: other}\n"
        "spec:\n  ops: [{name: a, image: i, command: ['true']}, {name: b, image: i, command: ['true'], after: [a]}]\n"
    )
    run.job("there", namespace="other")
    status, out, err = await run("launch", "-f", file, "-o", "a", "--set", "execution.maxConcurrent=2")
    assert status == 0, err
    made = run.fake.get("jobs", "other", out.strip())
    assert (made["spec"]["opSelection"], made["spec"]["execution"]) == (["a"], {"maxConcurrent": 2})
    status, _, err = await run("launch", "-f", file, "-o", "c")
    assert (status, "names no op or graph" in err) == (2, True)


async def test_the_version_of_the_operator(run: Commands) -> None:
    status, out, err = await run.end(await run.start("version"))
    assert (status, out.splitlines()[0].split()[0], err) == (0, "podgraph", "")
    assert out.splitlines()[1].startswith("operator unknown: ")


async def test_a_reader_that_has_seen_enough(run: Commands) -> None:
    run.job("j", "Running", LONG)
    reading, writing = os.pipe()
    os.close(reading)
    listing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "podgraph.cli", "job", "list", "--kubeconfig", str(run.kubeconfig), env=environment(),
        stdout=writing, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    status, _, err = await run.end(listing)
    assert (status, err) == (141, "")


async def test_the_log_of_the_pod_that_read_the_code_is_shown(run: Commands) -> None:
    made = run.job("j", "Refused", "CodeError: the code cannot be imported")
    pod = run.fake.create(
        {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": resolve_pod("j", made["metadata"]["uid"], 2),
                         "labels": {"podgraph.dev/job-uid": made["metadata"]["uid"]}},
            "spec": {"nodeName": "node", "containers": [{"name": "step", "image": "i"}]},
        }
    )  # fmt: skip
    run.fake.run_pod("default", pod["metadata"]["name"])
    run.fake.logs.append(pod["metadata"]["uid"], "Traceback of the user's\n")
    run.fake.finish_pod("default", pod["metadata"]["name"], 1, "")
    assert (await run("logs", "j"))[:2] == (0, "code | Traceback of the user's\n")
    assert (await run("logs", "j", "-f"))[:2] == (2, "code | Traceback of the user's\n")


async def test_init_containers_are_heard(run: Commands) -> None:
    run.job("j", "Failed", "", {"a": {"state": "Failed", "attempt": 1}})
    pod = pod_of(run, "a", init=("fetch",))
    run.fake.logs.append(run.fake.get("pods", "default", pod)["metadata"]["uid"], "no route\n")
    run.fake.finish_pod("default", pod, 1, "")
    _, out, err = await run("logs", "j", "--step", "a")
    assert out.splitlines()[-1] == "no route", err
