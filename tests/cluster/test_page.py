"""The web page in a real browser, on a real cluster: `podgraph ui` as a person starts it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, expect

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, states_of
from podgraph.server.app import page_is_built
from unit.cli.running import environment
from web.browser import Visit, visiting

SEED = CHECKOUT / "tests" / "examples" / "my_job.py"
WAIT_MS = 60_000

FLAKY = """
import dataclasses
from podgraph import job, op

@dataclasses.dataclass
class Greet:
    name: str
    times: int = 1

@op
def load():
    for number in range(300):
        print("loading", number)
    print("<img src=x onerror=alert(1)> done")
    return {"rows": 3, "html": "<script>alert(1)</script>"}

@op
def greet(config: Greet, rows):
    print("hello", config.name)
    if config.name == "nobody":
        raise ValueError("nobody to greet <b>here</b>")
    return config.name * config.times

@op
def send(text: str):
    return len(text)

@job
def greeting():
    send(greet(load()))
"""

SLEEPER = """
import time
from podgraph import job, op

@op
def sleep():
    for second in range(300):
        print("second", second, flush=True)
        time.sleep(1)

@job
def sleeper():
    sleep()
"""


@pytest.fixture(scope="module")
def url(operator: Any, shared: Kube) -> Iterator[str]:
    if not page_is_built():
        pytest.fail("the page is not built: run make web", pytrace=False)
    command = [
        sys.executable, "-m", "podgraph.cli", "ui", "--port", "0", "--no-open",
        "--namespace", shared.namespace, "--kubeconfig", shared.kubeconfig,
    ]  # fmt: skip
    server = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    end = threading.Timer(600, server.kill)
    end.start()
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[3]
    finally:
        end.cancel()
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()


@pytest.fixture
def visit(browser: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with visiting(browser, url) as opened:
        yield opened
        opened.shot(f"end-of-{request.node.name}")  # what there was to see, should the test have failed


def python_job(name: str, source: str, image: str, **spec: Any) -> dict[str, Any]:
    execution = {"podRetention": "Always", **spec.pop("execution", {})}
    return job_manifest(name, code={"source": source, "image": image}, execution=execution, **spec)


def write(visit: Visit, label: str, text: str) -> None:
    """Replace the text of an editor as a person does."""
    visit.page.get_by_role("textbox", name=label, exact=True).click()
    visit.page.keyboard.press("Control+A")
    visit.page.keyboard.press("Delete")  # else the browser itself keeps the color of what is typed over, in a style
    visit.page.keyboard.insert_text(text)


def test_from_an_empty_page_to_a_run_that_succeeded(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    visit.go("/")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.get_by_role("link", name="New run").click()
    write(visit, "Python file", SEED.read_text())
    page.get_by_label("Image").fill(step_image)
    page.get_by_label("Op selection").fill("*add_two")
    page.get_by_role("combobox", name="Tags").fill("team=data")
    page.keyboard.press("Enter")
    visit.shot("launchpad-source")
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("job-")
    name = page.url.rsplit("/", 1)[1]
    # Followed live: no reload from here to its end.
    expect(page.locator("[data-step=add_two]")).to_have_attribute("data-state", "Succeeded", timeout=WAIT_MS)
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    assert page.locator("[data-step]").count() == 2
    visit.shot("run-timeline")
    page.get_by_role("button", name="add_two", exact=True).click()
    page.get_by_role("tab", name="Inputs & outputs").click()
    expect(page.get_by_label("output result", exact=True)).to_have_text("3")
    visit.shot("run-step-outputs")
    page.get_by_text("Graph", exact=True).click()
    expect(page.locator("[data-op=add_two]")).to_have_attribute("data-state", "Succeeded")
    visit.shot("run-graph")
    job = shared.wait_finished(name)
    assert (states_of(job), outputs_of(job, "add_two")) == (
        {"return_one": "Succeeded", "add_two": "Succeeded"},
        {"result": 3},
    )
    assert (job["spec"]["opSelection"], job["metadata"]["labels"]["team"]) == (["*add_two"], "data")
    page.get_by_role("link", name="Runs").click()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("2/2")
    visit.shot("runs")
    page.get_by_label("Filter runs").fill("team=nobody")
    expect(page.get_by_text("No matching runs.")).to_be_visible()
    page.get_by_label("Filter runs").fill("team=data")
    expect(row).to_be_visible()


def test_what_is_wrong_cannot_be_launched(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    config = {"ops": {"greet": {"config": {"name": "nobody"}}}}
    shared.apply(python_job("greeting", FLAKY, step_image, runConfig=config))
    shared.wait_finished("greeting")
    before = len(shared.find("pgj"))
    visit.go(f"/launchpad?run={shared.namespace}/greeting")
    expect(page.locator("[data-op=greet]")).to_be_visible()
    launch = page.get_by_role("button", name="Launch Run")
    expect(launch).to_have_attribute("aria-disabled", "false")
    write(visit, "Run config", "ops:\n  greet:\n    config:\n      times: many\n")
    expect(page.get_by_test_id("problems")).to_contain_text("ops.greet.config.name is missing")
    expect(page.get_by_test_id("problems")).to_contain_text("ops.greet.config.times must be integer")
    expect(launch).to_have_attribute("aria-disabled", "true")
    launch.hover()
    expect(page.get_by_role("tooltip")).to_have_text("Run config has 2 problems")
    visit.shot("launchpad-refused")
    launch.click(force=True)
    page.get_by_label("Op selection").fill("*load, gret+")
    expect(page.get_by_test_id("wrong-clause").locator("mark")).to_have_text("gret+")
    expect(page.get_by_text("did you mean 'greet'?")).to_be_visible()
    page.get_by_label("Op selection").fill("load")
    expect(page.get_by_text("1 of 3 ops")).to_be_visible()
    expect(page.locator("[data-op=greet].out")).to_be_visible()
    visit.shot("launchpad-selection")
    page.get_by_label("Op selection").fill("")
    expect(page.get_by_text("3 of 3 ops")).to_be_visible()
    # What may stand at the cursor.
    write(visit, "Run config", "ops:\n  greet:\n    config:\n      ")
    page.keyboard.press("Control+Space")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("name")
    visit.shot("launchpad-completion")
    page.keyboard.press("Escape")
    write(visit, "Run config", "ops: {}\n")
    page.get_by_role("button", name="Scaffold missing config").click()
    expect(page.get_by_role("textbox", name="Run config")).to_contain_text("name:")
    expect(launch).to_have_attribute("aria-disabled", "false")
    assert len(shared.find("pgj")) == before
    # The server itself refuses it too, whatever the page says.
    answer = page.request.post(
        f"{visit.url}api/runs",
        headers={"Origin": visit.url.rstrip("/")},
        data={"namespace": shared.namespace, "source": {"run": "greeting"}, "config": "ops: {greet: {config: {}}}"},
    )
    assert (answer.status, "name is missing" in answer.json()["message"]) == (422, True)


def test_hostile_names_logs_and_outputs_are_text(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    config = {"ops": {"greet": {"config": {"name": "nobody"}}}}
    shared.apply(python_job("hostile", FLAKY, step_image, runConfig=config))
    shared.wait_finished("hostile")
    page.on("dialog", lambda dialog: (visit.errors.append("a dialog opened"), dialog.dismiss()))
    visit.go(f"/runs/{shared.namespace}/hostile?step=load")
    log = page.get_by_role("log")
    expect(log).to_contain_text("<img src=x onerror=alert(1)> done")
    page.get_by_label("Search the log").fill("loading 29")
    expect(page.get_by_text("11 of 301")).to_be_visible()
    visit.shot("run-log")
    with page.expect_download() as told:
        page.get_by_role("link", name="Download").click()
    assert told.value.path().read_text().count("\n") == 301
    page.get_by_role("tab", name="Inputs & outputs").click()
    expect(page.get_by_label("output result", exact=True)).to_contain_text("<script>alert(1)</script>")
    page.get_by_role("button", name="greet", exact=True).click()
    expect(page.get_by_test_id("step-panel")).to_contain_text("nobody to greet <b>here</b>")
    visit.shot("run-failed")


def test_rerun_from_failure_and_of_selected_steps(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    config = {"ops": {"greet": {"config": {"name": "nobody"}}}}
    shared.apply(python_job("again", FLAKY, step_image, runConfig=config))
    shared.wait_finished("again")
    visit.go(f"/runs/{shared.namespace}/again")
    page.get_by_role("button", name="Re-execute from failure").click()
    expect(page.get_by_text("rerun of")).to_be_visible()
    expect(page.locator("[data-step=greet]")).to_have_attribute("data-state", "Failed", timeout=WAIT_MS)
    expect(page.get_by_text("taken from again")).to_be_visible()
    name = page.url.rsplit("/", 1)[1]
    made = shared.wait_finished(name)
    assert made["spec"]["rerunOf"]["steps"] == "FromFailure"
    assert made["status"]["steps"]["load"]["takenFrom"] == "again"
    visit.shot("run-rerun")
    page.get_by_label("Select load").check()
    page.get_by_role("button", name="Re-execute selected (1)").click()
    expect(page.get_by_text("rerun of")).to_contain_text(name)
    expect(page.locator("[data-step=load]")).to_have_attribute("data-state", "Succeeded", timeout=WAIT_MS)
    assert page.locator("[data-step]").count() == 1


def test_a_run_is_followed_canceled_and_deleted(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    visit.go("/runs")
    expect(page.get_by_text("not live")).to_be_hidden()
    shared.apply(python_job("sleeper", SLEEPER, step_image))
    page.get_by_role("link", name="sleeper", exact=True).click()
    expect(page.locator("[data-step=sleep]")).to_have_attribute("data-state", "Running", timeout=WAIT_MS)
    page.get_by_role("button", name="sleep", exact=True).click()
    expect(page.get_by_role("log")).to_contain_text("second 3", timeout=WAIT_MS)
    visit.shot("run-live")
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel run").click()
    expect(page.locator("[data-step=sleep]")).to_have_attribute("data-state", "Canceled", timeout=WAIT_MS)
    assert shared.wait_finished("sleeper")["spec"]["cancel"] is True
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Delete run").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete run").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_role("link", name="sleeper", exact=True)).to_be_hidden(timeout=WAIT_MS)


def test_a_container_job_with_retries_in_dark_colors(browser: Browser, url: str, shared: Kube, step_image: str) -> None:
    script = 'test "$(date +%s)" -gt "$(cat /dev/null)0" || true; exit 1'
    ops = [
        {"name": "first", "image": step_image, "script": "echo begun; sleep 2; echo done"},
        {"name": "flaky", "image": step_image, "script": script, "after": ["first"], "retryPolicy": {"maxRetries": 2}},
        {"name": "last", "image": step_image, "script": "echo last", "after": ["flaky"]},
    ]
    shared.apply(job_manifest("retried", ops=ops, execution={"podRetention": "Always"}))
    with visiting(browser, url, "dark") as visit:
        page = visit.page
        visit.go(f"/runs/{shared.namespace}/retried")
        expect(page.locator("[data-step=flaky]")).to_have_attribute("data-state", "Failed", timeout=WAIT_MS)
        expect(page.get_by_role("table", name="Timeline").get_by_title("attempt 3")).to_be_visible()
        expect(page.get_by_test_id("why")).to_contain_text("flaky")
        page.get_by_role("button", name="flaky", exact=True).click()
        page.get_by_role("tab", name="Attempts").click()
        expect(page.get_by_role("table", name="Attempts").get_by_role("row")).to_have_count(4)
        expect(page.locator("[data-step=flaky] .bar.retried")).to_have_count(2)
        visit.shot("run-retried-dark")
        visit.go(f"/launchpad?run={shared.namespace}/retried")
        expect(page.locator("[data-op=last]")).to_be_visible()
        page.locator("[data-op=last]").click()
        expect(page.get_by_test_id("op-panel")).to_contain_text("last")
        visit.shot("launchpad-dark")


def test_the_server_in_the_cluster_needs_only_the_charts_rights(
    browser: Browser, operator: Any, shared: Kube, step_image: str, tmp_path: Path
) -> None:
    helm = shutil.which("helm", path=str(CHECKOUT / ".cluster" / "bin")) or shutil.which("helm")
    assert helm, "there is no helm: run make up, which builds it"
    values = f'ui={{"enabled":true,"readOnly":false,"namespace":"{shared.namespace}"}}'
    rendered = subprocess.run(
        [helm, "template", "podgraph", str(CHECKOUT / "charts/podgraph"), "--namespace", shared.namespace,
         "--show-only", "templates/ui.yaml", "--kube-version", "1.35.0", "--set-json", values],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    rights = [d for d in yaml.safe_load_all(rendered) if d["kind"] in ("ServiceAccount", "Role", "RoleBinding")]
    shared.apply(rights)
    config = json.loads(shared.run("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": shared.run("create", "token", "podgraph-ui").strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **environment(), "KUBECONFIG": str(tmp_path / "kubeconfig"), "PODGRAPH_NAMESPACE": shared.namespace,
        "PODGRAPH_UI_PORT": str(port), "PODGRAPH_STEP_IMAGE": step_image,
    }  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "podgraph.server"], env=env, stdout=log, stderr=log)
    try:
        url = f"http://localhost:{port}/"
        shared.wait_for("the server", lambda: _answers(f"{url}healthz"), 30)
        with visiting(browser, url) as visit:
            page = visit.page
            visit.go("/launchpad")
            page.get_by_role("button", name="Launch Run").click()
            expect(page.locator("[data-step=multi_three]")).to_have_attribute(
                "data-state", "Succeeded", timeout=WAIT_MS
            )
            page.get_by_role("button", name="multi_three", exact=True).click()
            page.get_by_role("tab", name="Inputs & outputs").click()
            expect(page.get_by_label("output result", exact=True)).to_have_text("9")
            page.get_by_role("button", name="Re-execute all steps").click()
            expect(page.get_by_text("rerun of")).to_be_visible()
            visit.go("/jobs")
            expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
            visit.go("/schedules")
            expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
    said = (tmp_path / "log").read_text()
    assert ("Forbidden" not in said, config["users"][0]["user"]["token"] not in said) == (True, True), said


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_schedule_ticks_is_tried_and_suspended(visit: Visit, shared: Kube, step_image: str) -> None:
    page = visit.page
    ops = [{"name": "hello", "image": step_image, "script": "echo hello"}]
    shared.apply(
        {
            "apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSchedule",
            "metadata": {"name": "often", "namespace": shared.namespace},
            "spec": {"everySeconds": 5, "concurrencyPolicy": "Forbid", "jobTemplate": {
                "metadata": {"labels": {"of": "often"}}, "spec": {"ops": ops}}},
        }
    )  # fmt: skip
    visit.go("/schedules")
    page.get_by_role("link", name="often", exact=True).click()
    expect(page.get_by_role("table", name="Ticks").locator("[data-outcome=Created]").first).to_be_visible(
        timeout=WAIT_MS
    )
    page.get_by_role("button", name="Try a tick").click()
    expect(page.get_by_label("tried job", exact=True)).to_contain_text("name: often-manual-")
    visit.shot("schedule")
    page.get_by_role("switch", name="often makes Jobs").press("Space")
    expect(page.get_by_text("Suspended").first).to_be_visible(timeout=WAIT_MS)
    assert shared.get("pgs", "often")["spec"]["suspend"] is True
    page.get_by_role("tab", name="Runs").click()
    expect(page.get_by_role("row").filter(has_text="often-").first).to_contain_text("of=often")


def test_the_page_by_keyboard_alone(visit: Visit, shared: Kube) -> None:
    page = visit.page
    visit.go("/runs")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Launchpad":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Launchpad")).to_be_visible()


def test_answers_carry_the_policy_and_other_origins_are_refused(visit: Visit, shared: Kube) -> None:
    answer = visit.page.request.get(visit.url)
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    refused = visit.page.request.post(
        f"{visit.url}api/runs", headers={"Origin": "http://elsewhere.example"}, data=json.dumps({})
    )
    assert refused.status == 403
