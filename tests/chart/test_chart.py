"""The chart: what it renders, what each value does, and what it refuses. Needs helm (`make up` brings it)."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from typing import Any, cast

import pytest
import yaml

from chart.rendering import CHART, ROOT, helm, render, template
from podgraph.cluster.impersonation import UserClients
from podgraph.planning.manifests.storage import default_storage
from podgraph.reconcile.jobs.link_server import read_link
from podgraph.reconcile.master_key import MASTER_SECRET
from podgraph.scheduling.http_policy import read_policy
from podgraph.server.proxies import Proxy, ProxyRules
from podgraph.server.settings import auth_of


def only(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [d for d in documents if d["kind"] == kind]
    return found


def pod_spec(*values: str) -> dict[str, Any]:
    spec: dict[str, Any] = only(render(*values), "Deployment")["spec"]["template"]["spec"]
    return spec


def test_lint() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


def test_the_crds_are_those_in_crds_and_outlive_the_release() -> None:
    rendered = {d["metadata"]["name"]: d for d in render() if d["kind"] == "CustomResourceDefinition"}
    assert rendered.keys() == {path.stem for path in (ROOT / "crds").glob("*.yaml")}
    for name, crd in rendered.items():
        assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert crd == yaml.safe_load((ROOT / "crds" / f"{name}.yaml").read_text())


def test_a_definition_has_all_fields_of_a_job_but_those_about_one_run() -> None:
    def fields(name: str) -> dict[str, Any]:
        crd = yaml.safe_load((ROOT / "crds" / f"{name}.podgraph.dev.yaml").read_text())
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        return dict(spec["properties"])

    job, definition = fields("jobs"), fields("jobdefinitions")
    assert set(job) - set(definition) == {"definitionRef", "rerunOf", "suspend", "cancel"}
    for name, schema in definition.items():
        assert changeable(job[name]) == schema


def changeable(schema: Any) -> Any:
    """A schema without its rules that a value stays as it was."""
    if isinstance(schema, list):
        return [changeable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: changeable(value) for key, value in schema.items()}
    rules = [rule for rule in kept.pop("x-kubernetes-validations", []) if rule["rule"] != "self == oldSelf"]
    return {**kept, "x-kubernetes-validations": rules} if rules else kept


def test_what_is_made_from_the_crds_is_fresh() -> None:
    assert (
        subprocess.run([sys.executable, str(ROOT / "charts" / "generate.py"), "--check"], check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("value", "place", "expected"),
    [
        ('image.repository="there/op"', ("containers", 0, "image"), "there/op:0.1.0"),
        ('image.tag="dev"', ("containers", 0, "image"), "podgraph/operator:dev"),
        ('image.pullPolicy="Never"', ("containers", 0, "imagePullPolicy"), "Never"),
        ('imagePullSecrets=[{"name":"s"}]', ("imagePullSecrets",), [{"name": "s"}]),
        ('stepImage="my/step:1"', ("containers", 0, "env", 0, "value"), "my/step:1"),
        ('resources={"limits":{"memory":"1Gi"}}', ("containers", 0, "resources", "limits", "memory"), "1Gi"),
        ('nodeSelector={"a":"b"}', ("nodeSelector",), {"a": "b"}),
        ('tolerations=[{"operator":"Exists"}]', ("tolerations",), [{"operator": "Exists"}]),
        ('affinity={"nodeAffinity":{}}', ("affinity",), {"nodeAffinity": {}}),
    ],
)
def test_each_value_has_its_effect(value: str, place: tuple[Any, ...], expected: Any) -> None:
    found: Any = pod_spec(value)
    for key in place:
        found = found[key]
    assert found == expected


@pytest.mark.parametrize(("values", "port"), [((), 7443), (("directLink.port=9000",), 9000)])
def test_where_pods_reach_the_operator(values: tuple[str, ...], port: int) -> None:
    container = pod_spec(*values)["containers"][0]
    env = {item["name"]: item for item in container["env"]}
    assert list(env).index("POD_IP") < list(env).index("PODGRAPH_LINK")  # else Kubernetes does not put it in
    assert env["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert env["PODGRAPH_LINK"]["value"] == f"$(POD_IP):{port}"
    assert read_link(env["PODGRAPH_LINK"]["value"].replace("$(POD_IP)", "10.1.2.3"))
    assert {"name": "link", "containerPort": port} in container["ports"]


def test_they_need_not_reach_it() -> None:
    container = pod_spec("directLink.enabled=false")["containers"][0]
    assert [item["name"] for item in container["env"]] == ["PODGRAPH_STEP_IMAGE", "PODGRAPH_NAMESPACE"]
    assert [port["name"] for port in container["ports"]] == ["health"]


def storage(*values: str) -> dict[str, Any]:
    env = {item["name"]: item.get("value") for item in pod_spec(*values)["containers"][0]["env"]}
    found: dict[str, Any] = json.loads(env.get("PODGRAPH_STORAGE", "{}"))
    if found:
        default_storage(env["PODGRAPH_STORAGE"])
    return found


def test_storage() -> None:
    assert storage() == {}
    assert storage('storage.url="s3://b/p"') == {"url": "s3://b/p", "retain": "Delete", "logs": False}
    assert storage(
        'storage.url="s3://b/p"', 'storage.secretName="s"', 'storage.retain="Keep"', "storage.logs=true"
    ) == {
        "url": "s3://b/p",
        "secretRef": {"name": "s"},
        "retain": "Keep",
        "logs": True,
    }
    claim = {"claimRef": {"name": "podgraph-storage"}, "retain": "Delete", "logs": False, "size": "10Gi"}
    assert storage("storage.createClaim.enabled=true") == {
        **claim, "storageClassName": "", "accessMode": "ReadWriteOnce"
    }  # fmt: skip
    more = ('storage.createClaim.storageClassName="fast"', 'storage.createClaim.accessMode="ReadWriteMany"')
    assert storage("storage.createClaim.enabled=true", 'storage.createClaim.size="1Gi"', *more) == {
        **claim, "size": "1Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"
    }  # fmt: skip


def test_storage_in_two_places_is_refused() -> None:
    done = template("storage.createClaim.enabled=true", 'storage.url="s3://b"')
    assert "storage.url and storage.createClaim.enabled are mutually exclusive" in done.stderr


def test_no_value_is_left_untested() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}


@pytest.mark.parametrize(
    "value",
    [
        'image.pullPolicy="Sometimes"',
        "stepImage=3",
        'replicas="2"',
        'stepImage=""',
        'storage.url="ftp://x"',
        'storage.retain="Maybe"',
        "storage.logs=1",
        'ui.enabled="yes"',
        'ui.auth="password"',
        'ui.proxy.userHeader="a b"',
        'ui.proxy.groups=["system:masters"]',
        'ui.proxy.users=["system:admin"]',
        'ui.proxy.users=["a,b"]',
        'ui.namespace="A b"',
        'watchNamespaces=["*"]',
        'watchNamespaces=["kube_system"]',
        'watchNamespaces="team"',
        'rbac.aggregate="no"',
        'crds.install="no"',
        'networkPolicy.metricsFrom=["all"]',
        'ui.proxy.addresses=["proxy.example.com"]',
        'storage.createClaim={"accessMode":"Often"}',
        'sensors.watch=[{"apiGroups":["*"],"resources":["pods"]}]',
        'sensors.http.allow=["example.com"]',
        'sensors.http.allowNetworks=["10.0.0.1"]',
        "directLink.port=80",
        "directLink.port=8080",
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str) -> None:
    done = template(value)
    assert done.returncode != 0
    assert value.split("=")[0].split(".")[-1] in done.stderr


def test_of_secrets_it_reads_its_own_alone() -> None:
    """It makes those of Jobs under names that nobody can guess, and never reads one."""
    documents = render()
    roles = [d for d in documents if d["kind"] in ("Role", "ClusterRole")]
    about = [
        (d["kind"], d["metadata"].get("namespace"), rule)
        for d in roles
        for rule in d["rules"]
        if "secrets" in rule["resources"]
    ]
    own: dict[str, Any] = {"apiGroups": [""], "resources": ["secrets"]}
    assert about == [
        ("ClusterRole", None, {**own, "verbs": ["create"]}),
        ("Role", "here", {**own, "verbs": ["create"]}),
        ("Role", "here", {**own, "verbs": ["get"], "resourceNames": [MASTER_SECRET]}),
    ]
    env = {item["name"]: item for item in pod_spec()["containers"][0]["env"]}
    assert env["PODGRAPH_NAMESPACE"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_what_sensors_may_look_at() -> None:
    watch = 'sensors.watch=[{"apiGroups":["apps",""],"resources":["deployments","configmaps"]}]'
    (role,) = [
        d
        for d in render(watch, "sensors.http.readSecrets=true")
        if d["kind"] == "ClusterRole" and d["metadata"]["name"] == "podgraph"
    ]
    assert {"apiGroups": ["apps", ""], "resources": ["deployments", "configmaps"], "verbs": ["list", "watch"]} in role[
        "rules"
    ]
    assert {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]} in role["rules"]
    values = ('sensors.http.allow=["https://*.example.com"]', 'sensors.http.allowNetworks=["10.96.0.0/12"]')
    env = {item["name"]: item.get("value") for item in pod_spec(*values)["containers"][0]["env"]}
    policy = read_policy(env["PODGRAPH_SENSORS_HTTP"])
    policy.check_url("https://a.example.com/x")
    assert policy.allows_address("10.96.0.1")
    assert "PODGRAPH_SENSORS_HTTP" not in {item["name"] for item in pod_spec()["containers"][0]["env"]}


def test_no_role_holds_a_wildcard() -> None:
    for role in render():
        for rule in role.get("rules", ()):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], role["metadata"]["name"]


def test_the_operator_pod_meets_the_restricted_standard() -> None:
    spec = pod_spec()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_never_two_operators_at_once() -> None:
    spec = only(render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_everything_is_labelled() -> None:
    for document in render():
        if document["kind"] != "CustomResourceDefinition":
            assert document["metadata"]["labels"]["app.kubernetes.io/name"] == "podgraph", document["kind"]


UI = 'ui={"enabled":true,"hosts":["jobs.example.org"]}'


def of_ui(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == "podgraph-ui"]
    return found


def test_the_page_has_a_deployment_and_rights_of_its_own() -> None:
    assert not [d for d in render() if d["metadata"]["name"] == "podgraph-ui"]
    documents = render(UI, 'stepImage="steps:1"')
    spec = of_ui(documents, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert (container["command"], spec["serviceAccountName"]) == (["python3", "-m", "podgraph.server"], "podgraph-ui")
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert env == {
        "PODGRAPH_STEP_IMAGE": "steps:1", "PODGRAPH_NAMESPACE": "", "PODGRAPH_UI_HOSTS": "jobs.example.org",
        "PODGRAPH_UI_AUTH": "none", "PODGRAPH_UI_READ_ONLY": "true",
    }  # fmt: skip
    assert container["image"] == only_operator(documents)["image"]
    assert container["securityContext"] == only_operator(documents)["securityContext"]
    service = of_ui(documents, "Service")["spec"]
    labels = of_ui(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (service["ports"][0]["port"], service["selector"].items() <= labels.items()) == (3000, True)
    assert not [d for d in documents if d["metadata"]["name"] == "podgraph-ui-proxy"]


def granted_to(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {(r, v) for rule in role["rules"] for r in rule["resources"] for v in rule["verbs"]}


LISTS = {(kind, verb) for kind in ("jobs", "jobdefinitions") for verb in ("list", "watch")}


def test_where_people_sign_in_the_page_itself_may_only_list() -> None:
    documents = render('ui={"enabled":true,"auth":"token"}')
    assert granted_to(of_ui(documents, "ClusterRole")) == LISTS
    assert not [d for d in documents if d["metadata"]["name"] == "podgraph-ui-proxy"]
    env = of_ui(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "PODGRAPH_UI_AUTH", "value": "token"} in env


PROXY = (
    "ui.enabled=true", 'ui.auth="proxy"', 'ui.proxy.users=["jane","max"]',
    'ui.proxy.groups=["data","ops"]', 'ui.proxy.addresses=["10.1.0.0/16"]',
    'ui.proxy.secretName="shared"', 'ui.proxy.userHeader="X-User"', 'ui.proxy.groupsHeader="X-Groups"',
)  # fmt: skip


def test_behind_a_proxy_the_page_acts_as_users_and_named_groups() -> None:
    documents = render(*PROXY, 'ui.namespace="team"')
    assert granted_to(of_ui(documents, "Role")) == LISTS
    role, binding = (d for d in documents if d["metadata"]["name"] == "podgraph-ui-proxy")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": ["jane", "max"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["data", "ops"], "verbs": ["impersonate"]},
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "podgraph-ui", "namespace": "here"}]
    env = of_ui(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    secret = {"secretKeyRef": {"name": "shared", "key": "secret"}}
    assert {"name": "PODGRAPH_UI_PROXY_SECRET", "valueFrom": secret} in env
    settings = {item["name"]: item.get("value", "0123456789abcdef") for item in env}
    auth = auth_of(settings, cast(UserClients, None))
    assert isinstance(auth, Proxy)
    assert auth.rules == ProxyRules(
        "X-User",
        "X-Groups",
        ["data", "ops"],
        [ipaddress.ip_network("10.1.0.0/16")],
        "0123456789abcdef",
        ["jane", "max"],
    )  # fmt: skip
    without = [d for d in render(*PROXY, "ui.proxy.groups=[]") if d["metadata"]["name"] == "podgraph-ui-proxy"]
    assert [rule["resources"] for rule in without[0]["rules"]] == [["users"]]


def test_who_may_come_through_the_proxy_has_to_be_chosen() -> None:
    done = template(*PROXY, "ui.proxy.users=[]")
    assert "list the users, or set ui.proxy.anyUser: true" in done.stderr
    documents = render(*PROXY, "ui.proxy.users=[]", "ui.proxy.anyUser=true")
    role = next(d for d in documents if d["metadata"]["name"] == "podgraph-ui-proxy")
    assert role["rules"][0] == {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}


def test_a_proxy_that_is_not_named_is_refused() -> None:
    done = template("ui.enabled=true", 'ui.auth="proxy"')
    assert "neither ui.proxy.addresses nor ui.proxy.secretName is set" in done.stderr


def test_the_page_can_be_kept_to_one_namespace() -> None:
    documents = render('ui={"enabled":true,"namespace":"team"}')
    assert not [d for d in documents if d["kind"].startswith("Cluster") and d["metadata"]["name"] == "podgraph-ui"]
    for kind in ("Role", "RoleBinding"):
        assert of_ui(documents, kind)["metadata"]["namespace"] == "team"
    assert of_ui(documents, "RoleBinding")["subjects"][0]["namespace"] == "here"


def only_operator(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == "podgraph"]
    container: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
    return container
