"""The page in a pod, as the chart installs it, by its three ways of knowing people."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from typing import Any

from playwright.sync_api import Browser, expect

from cluster.kube import Kube, job_manifest, new_namespace
from cluster.page_pod import forwarded, installed_page
from cluster.volumes import node_claim
from web.browser import visiting

WAIT_MS = 60_000
SECRET = "0123456789abcdef0123"

SAYING = """
from podgraph import job, op

@op
def say():
    print("first words")
    print("<b>last words</b>")
    return 1

@job
def sayer():
    say()
"""


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    """Ask as the page itself would; return status and answer."""
    data = None if body is None else json.dumps(body).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    own = {"Origin": "/".join(url.split("/")[:3]), "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**own, **named}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=130) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.headers.get_content_subtype() == "json" else text
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def user_of_one(kube: Kube, subject: dict[str, str]) -> None:
    """Let somebody use podgraph in this namespace, as an administrator would."""
    rules = [
        {
            "apiGroups": ["podgraph.dev"],
            "resources": ["jobs", "jobdefinitions"],
            "verbs": ["get", "list", "create", "patch"],
        },
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "user"}
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "user"}}
    kube.apply([{**meta, "kind": "Role", "rules": rules}])
    kube.apply([{**meta, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}])


def quiet_job(kube: Kube, name: str, image: str) -> None:
    kube.apply(job_manifest(name, ops=[{"name": "only", "image": image, "script": "echo hello from $HOSTNAME"}]))
    kube.wait_finished(name)


def test_with_the_pages_own_rights(browser: Browser, operator: Any, namespace: Kube, step_image: str) -> None:
    with (
        node_claim(namespace, "values"),
        installed_page(namespace, step_image, namespace=namespace.namespace, readOnly=False) as service,
        forwarded(namespace, service) as url,
    ):
        assert ask(f"{url}openapi.json")[1]["info"]["title"] == "podgraph"
        with visiting(browser, url) as visit:
            page = visit.page
            visit.go("/launchpad")
            page.get_by_role("button", name="Launch Run").click()
            done = page.locator("[data-step=multi_three]")
            expect(done).to_have_attribute("data-state", "Succeeded", timeout=WAIT_MS)  # told live, through the port
            visit.shot("pod-run")
        # The log of a pod that is gone comes from the storage, by a pod that the page's own rights are enough for.
        execution, storage = {"podRetention": "Never"}, {"claimRef": {"name": "values"}, "logs": True}
        code = {"source": SAYING, "image": step_image}
        namespace.apply(job_manifest("sayer", code=code, execution=execution, storage=storage))
        namespace.wait_finished("sayer")
        namespace.wait_for("the pods to go", lambda: not any(namespace.pods_of("sayer").values()))
        status, text = ask(f"{url}api/runs/{namespace.namespace}/sayer/log?step=say")
        assert (status, text.splitlines()) == (
            200,
            ["[from the Job's storage, because the step's pod is gone]", "first words", "<b>last words</b>"],
        )
        with visiting(browser, url) as visit:
            visit.go(f"/runs/{namespace.namespace}/sayer?step=say")
            expect(visit.page.get_by_role("log")).to_contain_text("<b>last words</b>", timeout=WAIT_MS)
            expect(visit.page.get_by_role("log")).to_contain_text("from the Job's storage")
            visit.shot("pod-stored-log")
        readers = [p for p in namespace.find("pods") if "-logs-" in p["metadata"]["name"]]
        namespace.wait_for("the reading pods to go", lambda: all(_goes(namespace, pod) for pod in readers))
        assert "Forbidden" not in namespace.run("logs", f"deployment/{service}")


def _goes(kube: Kube, pod: dict[str, Any]) -> bool:
    return pod["metadata"]["name"] not in [p["metadata"]["name"] for p in kube.find("pods")]


def test_with_a_token_one_is_oneself(browser: Browser, operator: Any, namespace: Kube, step_image: str) -> None:
    with contextlib.ExitStack() as stack:
        own, other = (stack.enter_context(new_namespace(namespace)) for _ in range(2))
        quiet_job(own, "mine", step_image)
        quiet_job(other, "theirs", step_image)
        own.run("create", "serviceaccount", "jane")
        user_of_one(own, {"kind": "ServiceAccount", "name": "jane", "namespace": own.namespace})
        token = own.run("create", "token", "jane").strip()
        service = stack.enter_context(installed_page(namespace, step_image, auth="token"))
        url = stack.enter_context(forwarded(namespace, service))
        visit = stack.enter_context(visiting(browser, url))
        page = visit.page
        visit.go("/runs")
        page.get_by_label("Kubernetes token").fill("not-a-token")
        page.keyboard.press("Enter")
        expect(page.get_by_text("the cluster does not accept this token")).to_be_visible()
        page.get_by_label("Kubernetes token").fill(token)
        page.keyboard.press("Enter")
        name = f"system:serviceaccount:{own.namespace}:jane"
        expect(page.get_by_test_id("user")).to_have_text(name)
        expect(page.get_by_role("link", name="mine", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="theirs", exact=True)).to_have_count(0)
        visit.shot("pod-token")
        page.get_by_role("link", name="mine", exact=True).click()
        page.get_by_role("button", name="only", exact=True).first.click()
        asked = "path => fetch(path).then(async answer => [answer.status, await answer.text()])"
        there = f"/api/runs/{other.namespace}/theirs"
        for path in (there, f"{there}/pods", f"{there}/log?step=only", f"{there}/graph"):
            status, said = page.evaluate(asked, path)
            assert (status, "is forbidden" in said, name in said) == (403, True, True), said
        visit.go(f"/launchpad?run={own.namespace}/mine")
        page.get_by_role("button", name="Launch Run").click()
        expect(page.locator("[data-step=only]")).to_have_attribute("data-state", "Succeeded", timeout=WAIT_MS)
        # What it does not have is not made up for by the page's rights: this user may not delete.
        uid = own.get("pgj", "mine")["metadata"]["uid"]
        status, said = page.evaluate(
            "path => fetch(path, {method: 'DELETE'}).then(async answer => [answer.status, await answer.text()])",
            f"/api/runs/{own.namespace}/mine?uid={uid}",
        )
        assert (status, "cannot delete" in said) == (403, True)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Kubernetes token")).to_be_visible()
        assert page.evaluate(asked, "/api/runs")[0] == 401
        assert token not in namespace.run("logs", f"deployment/{service}")


def test_behind_a_proxy_one_is_whom_it_names(operator: Any, namespace: Kube, step_image: str) -> None:
    with contextlib.ExitStack() as stack:
        own, other = (stack.enter_context(new_namespace(namespace)) for _ in range(2))
        quiet_job(own, "mine", step_image)
        quiet_job(other, "theirs", step_image)
        user_of_one(own, {"kind": "User", "name": "jane@example.org"})
        user_of_one(other, {"kind": "Group", "name": "data"})
        namespace.run("create", "secret", "generic", "proxy", f"--from-literal=secret={SECRET}")
        proxy = {"secretName": "proxy", "users": ["jane@example.org"], "groups": ["data"]}
        service = stack.enter_context(installed_page(namespace, step_image, auth="proxy", proxy=proxy))
        url = stack.enter_context(forwarded(namespace, service))
        known = {"X_Podgraph_Proxy_Secret": SECRET, "X_Forwarded_User": "jane@example.org"}

        def listed(**headers: str) -> list[str] | int:
            status, told = ask(f"{url}api/runs", **headers)
            return sorted(run["name"] for run in told["runs"]) if status == 200 else status

        assert listed(**known) == ["mine"]
        assert listed(**known, X_Forwarded_Groups="data, system:masters") == ["mine", "theirs"]
        assert listed(**known, X_Forwarded_Groups="system:masters") == ["mine"]
        assert [listed(X_Forwarded_User="jane@example.org"), listed(X_Podgraph_Proxy_Secret=SECRET)] == [403, 401]
        assert ask(f"{url}api/session", **known)[1] == {"mode": "proxy", "user": "jane@example.org"}
        status, said = ask(f"{url}api/runs/{other.namespace}/theirs", **known)
        assert (status, 'User "jane@example.org" cannot get' in said["message"]) == (403, True)
        assert ask(f"{url}api/runs/{own.namespace}/mine/log?step=only", **known)[0] in (200, 404)  # its pod may be gone
        made = {"namespace": own.namespace, "source": {"run": "mine"}}
        status, where = ask(f"{url}api/runs", "POST", made, **known)
        assert status == 201
        own.wait_finished(where["name"])
        made["namespace"] = other.namespace
        assert ask(f"{url}api/runs", "POST", {**made, "source": {"source": "x"}}, **known)[0] == 403
        assert SECRET not in namespace.run("logs", f"deployment/{service}")
