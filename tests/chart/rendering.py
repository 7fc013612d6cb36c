"""Renders the chart, and reads what it grants to whom. `python -m chart.rendering` writes rights.txt anew."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "podgraph"
GOLDEN = Path(__file__).with_name("rights.txt")

UI = "ui.enabled=true"
BY_PROXY = (UI, 'ui.auth="proxy"', 'ui.proxy.addresses=["10.1.0.0/16"]', 'ui.proxy.groups=["data"]')
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "cluster": (),
    "two namespaces": ('watchNamespaces=["team-a","team-b"]',),
    "one namespace, with the aggregated roles": ('watchNamespaces=["team-a"]', "rbac.aggregate=true"),
    "cluster, without the aggregated roles": ("rbac.aggregate=false",),
    "storage.createClaim": ("storage.createClaim.enabled=true",),
    "sensors.watch": ('sensors.watch=[{"apiGroups":["apps",""],"resources":["deployments","configmaps"]}]',),
    "sensors.http.readSecrets": ("sensors.http.readSecrets=true",),
    "one namespace, with all that it can have": (
        'watchNamespaces=["team-a"]', "storage.createClaim.enabled=true", "sensors.http.readSecrets=true",
        'sensors.watch=[{"apiGroups":[""],"resources":["configmaps"]}]', UI, "ui.readOnly=false",
    ),
    "ui.auth none": (UI,),
    "ui.auth none, not read-only": (UI, "ui.readOnly=false"),
    "ui.auth none, one namespace": (UI, 'ui.namespace="team-a"'),
    "ui.auth token": (UI, 'ui.auth="token"'),
    "ui.auth proxy, two users": (*BY_PROXY, 'ui.proxy.users=["jane","max@example.com"]'),
    "ui.auth proxy, any user": (*BY_PROXY, "ui.proxy.anyUser=true"),
}  # fmt: skip


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    program = shutil.which("helm", path=str(ROOT / ".cluster" / "bin")) or shutil.which("helm")
    assert program, "there is no helm: run `make up`, which builds it"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def template(*values: str, namespace: str = "here", release: str = "podgraph") -> subprocess.CompletedProcess[str]:
    """Run helm template with values, each as KEY=JSON."""
    sets = [argument for value in values for argument in ("--set-json", value)]
    return helm("template", release, str(CHART), "--namespace", namespace, "--kube-version", "1.35.0", *sets)


def render(*values: str, namespace: str = "here", release: str = "podgraph") -> list[dict[str, Any]]:
    """Return the objects that the chart makes of values."""
    return [document for document in yaml.load_all(_rendered(values, namespace, release), yaml.CSafeLoader) if document]


@functools.cache
def _rendered(values: tuple[str, ...], namespace: str, release: str) -> str:
    done = template(*values, namespace=namespace, release=release)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Right:
    """One rule that an account has, in one namespace, or with "" in all of them."""

    namespace: str
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


def rights_of(documents: Iterable[dict[str, Any]], account: str) -> list[Right]:
    """Return what a ServiceAccount may do by the roles that are bound to it."""
    found = list(documents)
    roles = {
        (d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]): d["rules"]
        for d in found
        if "rules" in d
    }
    rights = []
    for binding in found:
        if not binding["kind"].endswith("Binding") or account not in [s["name"] for s in binding["subjects"]]:
            continue
        where = binding["metadata"].get("namespace", "")
        reference = binding["roleRef"]
        of = where if reference["kind"] == "Role" else ""
        for rule in roles[reference["kind"], of, reference["name"]]:
            lists = (tuple(rule.get(key, ())) for key in ("apiGroups", "resources", "verbs", "resourceNames"))
            rights.append(Right(where, *lists))
    return rights


def allowed(rights: Iterable[Right], verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> bool:
    """Whether these rights allow a request, as Kubernetes decides it; no namespace means a request to all of them."""
    return any(
        right.namespace in ("", namespace)
        and group in right.groups
        and resource in right.resources
        and verb in right.verbs
        and (not right.names or name in right.names)
        for right in rights
    )


def told(documents: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what the chart grants, a line for each account or role, place and resource."""
    bound = {(d["roleRef"]["kind"], d["roleRef"]["name"]) for d in documents if d["kind"].endswith("Binding")}
    for account in sorted(d["metadata"]["name"] for d in documents if d["kind"] == "ServiceAccount"):
        yield from _lines(f"account {account}", rights_of(documents, account))
    for role in documents:
        if "rules" in role and (role["kind"], role["metadata"]["name"]) not in bound:
            to = [key.rpartition("/")[2] for key in role["metadata"]["labels"] if "/aggregate-to-" in key]
            rules = [
                Right("", *(tuple(rule[key]) for key in ("apiGroups", "resources", "verbs"))) for rule in role["rules"]
            ]
            yield from _lines(" ".join(["role", *to]), rules)


def _lines(who: str, rights: Iterable[Right]) -> Iterator[str]:
    for right in rights:
        where = f"namespace {right.namespace}" if right.namespace else "all namespaces"
        for group in right.groups:
            for resource in right.resources:
                names = f" named {', '.join(right.names)}" if right.names else ""
                full = f"{resource}.{group}" if group else resource
                yield f"{who}, {where}: {full}{names}: {' '.join(right.verbs)}"


def golden() -> str:
    """Return what each configuration grants, as rights.txt has it."""
    parts = []
    for name, values in CONFIGURATIONS.items():
        parts.append("\n".join([f"# {name}", *told(render(*values))]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(golden())
