"""JobDefinitions end to end: resolved once, run by many Jobs without a resolve pod, changed and deleted under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import OperatorProcess
from cluster.kube import CHECKOUT, Kube, KubeError, job_manifest, outputs_of, reasons_of
from cluster.volumes import node_claim
from unit.cli.running import podgraph, written

EXAMPLES = CHECKOUT / "tests" / "examples" / "definitions"
SECONDS = 120

TALK = """
import time
from podgraph import Field, job, op

@op(config_schema={"word": str, "seconds": Field(int, default_value=0)})
def say(context):
    time.sleep(context.op_config["seconds"])
    return context.op_config["word"]

@op
def twice(text: str):
    return text + text

@job
def talk():
    twice(say())
"""
UNICODE = {"ops": {"say": {"config": {"word": "zażółć 日本 🐍"}}}}
STAY = {"execution": {"podRetention": "Always"}}


@pytest.fixture
def image(operator: OperatorProcess, step_image: str) -> str:
    return step_image


def definition(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": name}, "spec": spec}


def settled(kube: Kube, name: str, generation: int = 1) -> tuple[str, str, str]:
    """Wait until it is known whether a definition can be run; return the status, reason and message of Ready."""

    def ready() -> Any:
        found = (kube.get("pgd", name).get("status") or {}).get("conditions", [])
        return [c for c in found if c["observedGeneration"] == generation and c["status"] != "Unknown"]

    (condition,) = kube.wait_for(f"definition {name} is resolved", ready, SECONDS)
    return condition["status"], condition["reason"], condition["message"]


def succeeded(kube: Kube, name: str) -> dict[str, Any]:
    job = kube.wait_finished(name, SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", kube.describe(name)
    return job


@pytest.mark.parametrize(
    ("path", "job", "op", "output"),
    [("orders", "orders-today", "total", 4), ("scripts", "report-alone", "report", "7 is the size")],
)
def test_example(image: str, shared: Kube, path: str, job: str, op: str, output: Any) -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / f"{path}.yaml").read_text().replace("podgraph/step:dev", image)))
    documents[1]["spec"] |= STAY
    shared.apply(list(reversed(documents)))  # the job before its definition
    assert outputs_of(succeeded(shared, job), op) == {"result": output}
    assert "" not in shared.pods_of(job)


def test_ten_jobs_start_eleven_pods_of_which_one_resolves(image: str, namespace: Kube) -> None:
    namespace.apply(definition("talk", code={"source": TALK, "image": image}, runConfig=UNICODE, **STAY))
    assert settled(namespace, "talk") == ("True", "Resolved", "2 ops")
    jobs = [job_manifest(f"j{i}", definitionRef={"name": "talk"}, opSelection=["say"]) for i in range(10)]
    namespace.create(jobs)
    for i in range(10):
        job = succeeded(namespace, f"j{i}")
        assert outputs_of(job, "say") == {"result": "zażółć 日本 🐍"}
        assert job["status"]["definition"]["digest"] == namespace.get("pgd", "talk")["status"]["digest"]
    events = namespace.run("get", "events", "-o", "json", "--field-selector=reason=Scheduled")
    assert len(json.loads(events)["items"]) == 11
    assert all(len(pods) == 1 for i in range(10) for pods in namespace.pods_of(f"j{i}").values())


HOW = ("deleted", "changed", "recreated")


@pytest.fixture(scope="module")
def interrupted(operator: OperatorProcess, step_image: str, shared: Kube) -> Kube:
    """Jobs in the middle of a step whose definitions were changed while the operator was away, once for all."""

    slow = {"ops": {"say": {"config": {"word": "first", "seconds": 12}}}}
    code, other = ({"source": s, "image": step_image} for s in (TALK, TALK.replace("text + text", "'other'")))
    for how in HOW:
        made = definition(how, code=code, runConfig=slow)
        shared.apply([made, job_manifest(f"of-{how}", definitionRef={"name": how}, **STAY)])
    for how in HOW:
        shared.wait_for("the first step", lambda how=how: "say" in shared.pods_of(f"of-{how}"), SECONDS)
    operator.kill()
    try:
        for how in ("deleted", "recreated"):
            shared.run("delete", "pgd", how, "--timeout=30s")
        for how in ("changed", "recreated"):
            shared.apply(definition(how, code=other))
    finally:
        operator.start()
    return shared


@pytest.mark.parametrize("how", HOW)
def test_a_running_job_goes_on_across_a_restart(interrupted: Kube, how: str) -> None:
    name = f"of-{how}"
    job = succeeded(interrupted, name)
    assert outputs_of(job, "twice") == {"result": "firstfirst"}
    assert (job["status"]["definition"]["generation"], set(interrupted.pods_of(name))) == (1, {"say", "twice"})
    if how == "deleted":
        interrupted.apply(job_manifest("late", definitionRef={"name": how}))
        late = interrupted.wait_finished("late", SECONDS)
        assert reasons_of(late)["Accepted"] == "False/DefinitionNotFound"
    else:
        assert settled(interrupted, how, 2 if how == "changed" else 1)[0] == "True"


def test_broken_code_is_told_and_mended(image: str, namespace: Kube) -> None:
    namespace.apply(definition("talk", code={"source": "import nothing_like_it\n", "image": image}, runConfig=UNICODE))
    status, reason, message = settled(namespace, "talk")
    assert (status, reason, "nothing_like_it" in message) == ("False", "CodeError", True)
    head, row = namespace.run("get", "pgd", "-o", "wide").splitlines()
    assert (head.split(), row.split()[:2]) == (["NAME", "READY", "OPS", "AGE", "REASON", "MESSAGE"], ["talk", "False"])
    assert message.split()[-1] in row
    namespace.apply(job_manifest("j", definitionRef={"name": "talk"}))
    refused = namespace.wait_finished("j", SECONDS)
    assert reasons_of(refused)["Accepted"] == "False/DefinitionNotReady"
    assert message in refused["status"]["conditions"][0]["message"]
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"talk.py": TALK}})
    namespace.apply(
        definition("talk", code={"configMapRef": {"name": "code", "key": "talk.py"}, "image": image}, runConfig=UNICODE)
    )
    assert settled(namespace, "talk", 2)[0] == "True"
    namespace.run("delete", "configmap", "code")
    head, row = namespace.run("get", "pgd", "talk").splitlines()
    assert row.split()[:3] == ["talk", "True", "2"]
    namespace.apply(job_manifest("k", definitionRef={"name": "talk"}))
    succeeded(namespace, "k")
    namespace.wait_for("the end of its own pods", lambda: not namespace.find("pods", "podgraph.dev/definition=talk"))


def test_storage_is_tried_once(image: str, namespace: Kube) -> None:
    with node_claim(namespace, "values"):
        storage = {"claimRef": {"name": "values"}}
        namespace.apply(
            definition("talk", code={"source": TALK, "image": image}, runConfig=UNICODE, storage=storage, **STAY)
        )
        namespace.apply(job_manifest("same", definitionRef={"name": "talk"}))
        there = {**storage, "url": "file:///elsewhere"}
        namespace.apply(job_manifest("other", definitionRef={"name": "talk"}, storage=there))
        assert set((succeeded(namespace, "same"), namespace.pods_of("same"))[1]) == {"say", "twice"}
        assert set((succeeded(namespace, "other"), namespace.pods_of("other"))[1]) == {"say", "twice"}
        namespace.run("delete", "pgj", "--all", "--timeout=60s", seconds=75)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "exactly one of spec.ops (container and script ops) and spec.code (Python ops) must be set"),
        ({"definitionRef": {"name": "x"}}, 'unknown field "spec.definitionRef"'),
        ({"code": {"module": "m"}, "suspend": True}, 'unknown field "spec.suspend"'),
        ({"code": {"module": "m", "source": "x"}}, "exactly one of source, configMapRef and module must be set"),
        ({"code": {"module": "m"}, "storage": {}}, "url or claimRef must be set"),
        ({"ops": [{"name": "a", "image": "i"}], "execution": {"mode": "InProcess"}}, "are for Python ops"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(image: str, shared: Kube, spec: Any, said: str) -> None:
    with pytest.raises(KubeError) as caught:
        shared.create(definition("refused", **spec))
    assert said in str(caught.value)


def test_the_command_line(image: str, namespace: Kube, tmp_path: Path) -> None:
    where = ["--namespace", namespace.namespace, "--kubeconfig", namespace.kubeconfig]

    def run(*arguments: object) -> tuple[int, str, str]:
        return podgraph(*arguments, *where)

    file = written(tmp_path, TALK)
    status, out, err = run("definition", "apply", "-f", file, "--image", image, "--wait")
    assert (status, out.splitlines()[:2]) == (0, ["talk created", "talk  2 ops"]), err
    assert run("definition", "apply", "-f", file, "--image", image)[1] == "talk unchanged\n"
    status, out, _ = run("definition", "list")
    assert (status, [line.split()[:3] for line in out.splitlines()]) == (
        0,
        [["NAME", "READY", "OPS"], ["talk", "True", "2"]],
    )
    status, _, err = run("job", "launch", "-d", "talk")
    assert (status, "ops.say.config.word is missing" in err) == (2, True)
    assert run("job", "launch", "-d", "tlak")[0] == 2
    status, out, err = run("job", "launch", "-d", "talk", "-o", "say", "--config-json", json.dumps(UNICODE), "--wait")
    assert (status, 'result = "zażółć 日本 🐍"' in out) == (0, True), err
    big = written(tmp_path, json.dumps({"ops": {"say": {"config": {"word": "ü" * 1_000_000}}}}), "big.json")
    status, _, err = run("job", "launch", "-d", "talk", "-c", big)
    assert (status, err) == (2, "error: cannot create the Job: Request entity too large: limit is 3145728\n")
    (job,) = namespace.find("pgj", "podgraph.dev/definition=talk")
    assert job["spec"]["definitionRef"] == {"name": "talk"}
    status, out, err = run(
        "definition", "apply", "-f", written(tmp_path, "import no_such\n"), "--name", "talk", "--wait"
    )
    assert (status, out, "'talk' cannot be run: " in err) == (1, "talk changed\n", True)
    assert run("job", "launch", "-d", "talk")[0] == 2
    assert run("definition", "get", "talk")[0] == 1
    assert run("definition", "delete", "talk")[0] == 0
    status, _, err = run("definition", "get", "talk")
    assert (status, "not found" in err) == (2, True)
    assert namespace.get("pgj", job["metadata"]["name"])["status"]["progress"] == "1/1"
