"""Jobs end to end on a real cluster. All of them are applied at once; each test waits for its own."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of, states_of

EXAMPLES = CHECKOUT / "tests" / "examples"
BUSYBOX = "busybox:1"
MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SECONDS = 150

ARITHMETIC = """
from podgraph import job, op

@op
def return_one():
    return 1

@op
def add_two(i: int):
    return i + 2

@op
def multi_three(i: int):
    return i * 3

@job
def my_job():
    multi_three(add_two(return_one()))
"""

VALUES = """
from podgraph import Out, Output, job, op

KINDS = {
    "none": None, "text": "zażółć 日本 🐍 \\n\\t\\"quoted\\" $(HOME) $HOME", "list": [1, [2.5, None], "x"],
    "dict": {"a": {"b": [True, False]}, "": 0}, "big": 2**200 + 1, "small": -(10**30), "float": 1.0, "tiny": 5e-324,
}

@op(out={name: Out() for name in KINDS})
def several():
    for name, value in KINDS.items():
        yield Output(value, name)

@op
def same(none, text, list, dict, big, small, float, tiny, literal, default="d"):
    got = {"none": none, "text": text, "list": list, "dict": dict, "big": big, "small": small, "float": float,
           "tiny": tiny}
    assert got == KINDS and all(type(got[k]) is type(v) for k, v in KINDS.items()), got
    assert repr(float) == "1.0" and literal == {"n": [1, 1.0, None]} and default == "d"
    return got["float"]

@op
def nothing():
    pass

@op
def total(context, numbers, scale=10):
    assert context.op_name == "total" and len(context.run_id) == 36
    assert [type(n) for n in numbers] == [float, type(None), int]
    return sum(n or 0 for n in numbers) * scale

@op(out={"a": Out(), "b": Out(is_required=False)})
def branch(x):
    yield Output(x, "a")

@op
def taken(x):
    return x

@op
def left_out(x):
    return x

@job
def values():
    out = several()
    f = same(*out, literal={"n": [1, 1.0, None]})
    t = total([f, nothing(), out.big])
    a, b = branch(t)
    taken(a)
    left_out(b)
"""

NESTED = """
from podgraph import graph, job, op

@op
def one():
    return 1

@op
def add(x, y=1):
    return x + y

@op
def other(x):
    raise RuntimeError("not selected, so it must not run")

@graph
def src(x):
    made = add(add.alias("first")(x))
    other(made)
    return made

@job
def nested():
    add.alias("last")(src(one()))
"""

SEVERAL = """
from podgraph import job, op

@op
def who(name="?"):
    return name

@job
def red():
    who("red")

@job
def blue():
    who("blue")
"""

CONFIGURED = """
from dataclasses import dataclass
from podgraph import failure_hook, job, op, resource, success_hook

@dataclass
class Scale:
    factor: int
    offset: int = 0

@resource(config_schema={"url": str})
def db(context):
    yield {"url": context.resource_config["url"]}
    print("db is put away")

@success_hook(required_resource_keys={"db"})
def tell(context):
    print("hook:", context.op_name, context.op_output_values, context.resources.db["url"])

@failure_hook
def warn(context):
    print("hook:", context.op_name, type(context.op_exception).__name__)

@op(required_resource_keys={"db"}, config_schema={"prefix": str})
def where(context) -> str:
    return context.config["prefix"] + context.resources.db["url"] + context.tags["team"]

@op
def scale(x: int, config: Scale) -> int:
    return x * config.factor + config.offset

@op
def wrong() -> int:
    return "no number"

@job(
    resource_defs={"db": db}, hooks={tell, warn}, tags={"team": "red"},
    config={"ops": {"where": {"config": {"prefix": "at "}}}, "execution": {"config": {"in_process": {}}}},
)
def configured(number):
    where()
    scale(number)
    wrong()
"""


def script(name: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a script op in busybox; its inputs and outputs may be given short."""
    outputs = [{"name": o} if isinstance(o, str) else o for o in more.pop("outputs", [])]
    return {"name": name, "image": BUSYBOX, "script": textwrap.dedent(text), "outputs": outputs, **more}


def script_values() -> list[dict[str, Any]]:
    """Values that scripts write and read: text in lines, everything else as JSON."""
    written = {
        "none": None,
        "text": "naïve 日本",
        "list": [1, "two"],
        "big": 10**30,
        "float": 1.0,
        "map": {"k": [None]},
    }
    lines = 'echo "plain=a=b $(id -u)" > "$PODGRAPH_OUTPUT"\nprintf "  \\n empty =\\n" >> "$PODGRAPH_OUTPUT"\n'
    shown = ["NONE", "TEXT", "LIST", "BIG", "FLOAT", "MAP", "PLAIN", "LITERAL", "NULL", "DOLLAR", "DEFAULT"]
    return [
        script("lines", lines, outputs=["plain", "empty"]),
        script(
            "json",
            f"cat > \"$PODGRAPH_OUTPUT\" <<'END'\n{json.dumps(written, ensure_ascii=False)}\nEND\n",
            outputs=[*written],
        ),
        script(
            "show",
            "\n".join(f'echo "{n.lower()}=$INPUT_{n}" >> "$PODGRAPH_OUTPUT"' for n in shown),
            inputs=[
                *({"name": n, "from": {"op": "json", "output": n}} for n in written),
                {"name": "plain", "from": {"op": "lines", "output": "plain"}},
                {"name": "literal", "value": {"a": [1, None, True]}},
                {"name": "null", "value": None},
                {"name": "dollar", "value": "$(HOME) $$ $HOME"},
                {"name": "default", "default": 7},
            ],
            outputs=[n.lower() for n in shown],
        ),
        script("maybe", 'echo "yes=1" > "$PODGRAPH_OUTPUT"', outputs=["yes", {"name": "no", "optional": True}]),
        script("skipped", "exit 1", inputs=[{"name": "x", "from": {"op": "maybe", "output": "no"}}]),
        script("last", "true", after=["show", "maybe"]),
    ]


KEEP = {"podRetention": "Always"}


def jobs(image: str) -> list[dict[str, Any]]:
    """Return the Jobs of this file that are no example."""

    def python(name: str, source: str, **more: Any) -> dict[str, Any]:
        code = {"image": image, "source": source, **more.pop("code", {})}
        return job_manifest(name, code=code, **more)

    made = [
        python("config", ARITHMETIC, opSelection=["multi_three"], runConfig=_given(multi_three={"i": 5})),
        python("config-dagster", ARITHMETIC, opSelection=["add_two*"], runConfig=_given(add_two={"i": {"value": -2}})),
        python("values", VALUES),
        python("nested", NESTED, opSelection=["src.*add"]),
        python("red-job", SEVERAL, code={"job": "red"}),
        python("blue-job", SEVERAL, code={"job": "blue"}),
        python(
            "configured",
            CONFIGURED,
            runConfig={
                "inputs": {"number": 4},
                "ops": {"scale": {"config": {"factor": 10}}},
                "resources": {"db": {"config": {"url": "pg"}}},
            },
        ),
        python("twin-a", ARITHMETIC),
        python("twin-b", ARITHMETIC),
        job_manifest("from-map", code={"image": image, "configMapRef": {"name": "code", "key": "my.py"}}),
        job_manifest("default-image", code={"source": ARITHMETIC}, opSelection=["return_one"]),
        job_manifest("script-values", ops=script_values()),
        job_manifest(
            "failing",
            ops=[
                script("fine", "true"),
                script("stops", "echo before\nfalse\necho not reached"),
                script("never", "true", after=["stops"]),
            ],
        ),
    ]
    for job in made:
        job["spec"]["execution"] = KEEP
    return made


@pytest.fixture(scope="module")
def applied(operator: Any, shared: Kube, step_image: str) -> Kube:
    """Apply everything once."""
    shared.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"my.py": ARITHMETIC}})
    for path in sorted(EXAMPLES.glob("*.yaml")):
        shared.apply(example(path, step_image))
    shared.create(jobs(step_image))  # kubectl apply would leave out the null among the literal values
    return shared


def example(path: Path, image: str) -> dict[str, Any]:
    """Return an example for the image this cluster has; its pods stay, for the tests to look at."""
    job = yaml.safe_load(path.read_text().replace("podgraph/step:dev", image))
    job["spec"].setdefault("execution", {})["podRetention"] = "Always"
    return dict(job)


def succeeded(kube: Kube, name: str) -> dict[str, Any]:
    """Wait for a Job and hold it to its success."""
    job = kube.wait_finished(name, SECONDS)
    expected = {"Accepted": "True/Accepted", "Succeeded": "True/Succeeded", "Finished": "True/Succeeded"}
    assert reasons_of(job) == expected, kube.describe(name)
    return job


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example(applied: Kube, path: Path) -> None:
    succeeded(applied, path.stem)


def test_arithmetic_gives_9_with_times_and_order(applied: Kube) -> None:
    job = succeeded(applied, "arithmetic")
    steps = job["status"]["steps"]
    assert {op: outputs_of(job, op) for op in steps} == {
        "return_one": {"result": 1},
        "add_two": {"result": 3},
        "multi_three": {"result": 9},
    }
    order = ["return_one", "add_two", "multi_three"]
    times = [steps[op][key] for op in order for key in ("startTime", "completionTime")]
    assert all(MICROSECONDS.fullmatch(time) for time in times), times
    assert times == sorted(times)
    assert all(steps[op]["startTime"] < steps[op]["completionTime"] for op in order)
    assert job["status"]["progress"] == "3/3"
    assert job["status"]["counts"]["succeeded"] == job["status"]["counts"]["total"] == 3
    pods = applied.pods_of("arithmetic")
    assert {op: [pod["metadata"]["uid"] for pod in found] for op, found in pods.items() if op} == {
        op: [step["podUID"]] for op, step in steps.items()
    }


def test_selection_runs_two_steps_only(applied: Kube) -> None:
    job = succeeded(applied, "arithmetic-selection")
    assert states_of(job) == {"return_one": "Succeeded", "add_two": "Succeeded"}
    assert set(applied.pods_of("arithmetic-selection")) == {"return_one", "add_two"}


def test_run_config_gives_what_no_selected_op_gives(applied: Kube) -> None:
    job = succeeded(applied, "config")
    assert {op: outputs_of(job, op) for op in job["status"]["steps"]} == {"multi_three": {"result": 15}}
    job = succeeded(applied, "config-dagster")
    assert outputs_of(job, "add_two") == {"result": 0}
    assert outputs_of(job, "multi_three") == {"result": 0}


def test_config_resources_and_hooks_reach_the_pods(applied: Kube) -> None:
    job = applied.wait_finished("configured", SECONDS)
    steps = job["status"]["steps"]
    assert states_of(job) == {"where": "Succeeded", "scale": "Succeeded", "wrong": "Failed"}, applied.describe(
        "configured"
    )
    assert (outputs_of(job, "where"), outputs_of(job, "scale")) == ({"result": "at pgred"}, {"result": 40})
    assert steps["wrong"]["reason"] == "TypeCheckFailed"
    assert "output 'result' of op 'wrong' has the wrong type: expected int" in steps["wrong"]["message"]
    said = {op: applied.run("logs", pods[0]["metadata"]["name"]) for op, pods in applied.pods_of("configured").items()}
    assert "hook: where {'result': 'at pgred'} pg\ndb is put away\n" in said["where"]
    assert "hook: wrong StepError" in said["wrong"]


def test_python_values_arrive_as_they_were(applied: Kube) -> None:
    job = succeeded(applied, "values")
    assert job["status"]["steps"]["same"]["outputs"] == {"result": "1.0"}
    several = outputs_of(job, "several")
    assert (several["big"], several["none"], several["dict"]) == (2**200 + 1, None, {"a": {"b": [True, False]}, "": 0})
    assert outputs_of(job, "nothing") == {"result": None}
    assert outputs_of(job, "taken") == outputs_of(job, "total") == {"result": (1.0 + 2**200 + 1) * 10}
    assert states_of(job)["left_out"] == "Skipped"
    # One that was started ahead for it has waited for nothing, and goes.
    applied.wait_for("no pod of what was skipped", lambda: "left_out" not in applied.pods_of("values"))


def test_nested_graph_with_a_selection_inside(applied: Kube) -> None:
    job = succeeded(applied, "nested")
    assert {op: outputs_of(job, op)["result"] for op in job["status"]["steps"]} == {
        "one": 1,
        "src.first": 2,
        "src.add": 3,
    }


def test_code_job_picks_one_of_several(applied: Kube) -> None:
    assert outputs_of(succeeded(applied, "red-job"), "who") == {"result": "red"}
    assert outputs_of(succeeded(applied, "blue-job"), "who") == {"result": "blue"}


def test_two_jobs_of_the_same_content_do_not_meet(applied: Kube) -> None:
    twins = [succeeded(applied, name) for name in ("twin-a", "twin-b")]
    assert [outputs_of(job, "multi_three") for job in twins] == [{"result": 9}] * 2
    uids = {step["podUID"] for job in twins for step in job["status"]["steps"].values()}
    assert len(uids) == 6


def test_code_from_a_config_map(applied: Kube) -> None:
    assert outputs_of(succeeded(applied, "from-map"), "multi_three") == {"result": 9}


def test_the_operators_own_step_image(applied: Kube, step_image: str) -> None:
    succeeded(applied, "default-image")
    pod = applied.pods_of("default-image")["return_one"][0]
    assert pod["spec"]["containers"][0]["image"] == step_image


def test_script_values(applied: Kube) -> None:
    job = succeeded(applied, "script-values")
    assert outputs_of(job, "lines") == {"plain": "a=b 65532", "empty": ""}
    assert job["status"]["steps"]["json"]["outputs"]["float"] == "1.0"
    assert outputs_of(job, "json")["big"] == 10**30
    assert outputs_of(job, "show") == {
        "none": "null",
        "text": "naïve 日本",
        "list": '[1,"two"]',
        "big": "1" + "0" * 30,
        "float": "1.0",
        "map": '{"k":[null]}',
        "plain": "a=b 65532",
        "literal": '{"a":[1,null,true]}',
        "null": "null",
        "dollar": "$(HOME) $$ $HOME",
        "default": "7",
    }
    assert states_of(job)["skipped"] == "Skipped"
    assert "skipped" not in applied.pods_of("script-values")
    assert job["status"]["steps"]["last"]["startTime"] >= job["status"]["steps"]["show"]["completionTime"]


def test_scripts_example(applied: Kube) -> None:
    job = succeeded(applied, "scripts")
    assert outputs_of(job, "fetch") == {"rows": "42", "source": "https://example.com/?a=1&b=2"}
    assert outputs_of(job, "double") == {"result": 84, "note": "twice 42 rows"}
    assert outputs_of(job, "report") == {"result": "84 rows from https://example.com/?a=1&b=2"}


def test_containers_example(applied: Kube) -> None:
    job = succeeded(applied, "containers")
    assert outputs_of(job, "greet") == {"result": "hello, world"}
    pod = applied.pods_of("containers")["print"][0]["metadata"]["name"]
    assert applied.logs(pod) == "hello, world\n"


def test_fan_in_example(applied: Kube) -> None:
    job = succeeded(applied, "fan-in")
    assert outputs_of(job, "sum") == {"numbers": [1, 2, 3], "result": 6}


def test_a_failed_step_ends_what_needs_it(applied: Kube) -> None:
    job = applied.wait_finished("failing", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/Failed"
    assert states_of(job) == {"fine": "Succeeded", "stops": "Failed", "never": "UpstreamFailed"}
    assert "exit code 1" in job["status"]["steps"]["stops"]["message"]
    assert "before" in job["status"]["steps"]["stops"]["message"]
    assert set(applied.pods_of("failing")) == {"fine", "stops"}


def chain(count: int, seconds: float) -> list[dict[str, Any]]:
    """Return a chain of script ops that count up, each in `seconds`."""
    ops = [script("s0", f'sleep {seconds}; echo "result=0" > "$PODGRAPH_OUTPUT"', outputs=["result"])]
    for at in range(1, count):
        text = f'sleep {seconds}; echo "result=$((INPUT_X + 1))" > "$PODGRAPH_OUTPUT"'
        ops.append(script(f"s{at}", text, inputs=[{"name": "x", "from": {"op": f"s{at - 1}"}}], outputs=["result"]))
    return ops


def once_each(kube: Kube, name: str, job: dict[str, Any]) -> None:
    """Hold a Job to one pod for each step over all its life, by the events of pods ever scheduled."""
    events = [e["involvedObject"] for e in kube.find("events") if e["reason"] == "Scheduled"]
    ever = {e["uid"] for e in events if e["name"].startswith(f"{name}-")}
    assert ever == {step["podUID"] for step in job["status"]["steps"].values()}
    assert all(len(pods) == 1 for pods in kube.pods_of(name).values())


def test_operator_killed_again_and_again_runs_each_step_once(namespace: Kube, operator: Any) -> None:
    namespace.create(job_manifest("killed", ops=chain(5, 0.5), execution=KEEP))
    for at in (0, 1, 3):
        namespace.wait_for(f"a pod of s{at}", lambda at=at: f"s{at}" in namespace.pods_of("killed"), 60, 0.05)
        operator.kill()
        operator.start()
    job = succeeded(namespace, "killed")
    assert outputs_of(job, "s4") == {"result": "4"}
    once_each(namespace, "killed", job)


def test_pods_that_end_while_the_operator_is_down(namespace: Kube, operator: Any) -> None:
    wide = [
        script(f"w{at}", f'sleep 2; echo "result={at}" > "$PODGRAPH_OUTPUT"', outputs=["result"]) for at in range(3)
    ]
    refs = [{"op": f"w{at}"} for at in range(3)]
    join = script("join", 'echo "result=$INPUT_X" > "$PODGRAPH_OUTPUT"', outputs=["result"])
    join["inputs"] = [{"name": "x", "fromList": refs}]
    namespace.create(job_manifest("away", ops=[*wide, join], execution={**KEEP, "prestart": 0}))
    namespace.wait_for("three pods", lambda: len(namespace.find("pods")) == 3, 60)
    operator.kill()
    try:
        namespace.create(job_manifest("came-meanwhile", ops=chain(1, 0)))
        namespace.wait_for(
            "their end", lambda: all(p["status"]["phase"] == "Succeeded" for p in namespace.find("pods")), 60
        )
    finally:
        operator.start()
    job = succeeded(namespace, "away")
    assert outputs_of(job, "join") == {"result": '["0","1","2"]'}
    once_each(namespace, "away", job)
    succeeded(namespace, "came-meanwhile")


def _given(**ops: Any) -> dict[str, Any]:
    return {"ops": {op: {"inputs": inputs} for op, inputs in ops.items()}}
