"""The cluster that a command uses, chosen as kubectl does, and the Jobs in one of its namespaces."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from podgraph.api import GROUP, VERSION
from podgraph.cli.answers import told
from podgraph.cluster.ownership import difference
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.kube_names import LABEL, check_name
from podgraph.planning.model.names import (
    CONTAINER,
    JOB_UID_LABEL,
    OP_ANNOTATION,
    resolve_pod,
    run_pod,
    step_container,
)

__all__ = ["Cluster"]

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_ANSWER_SECONDS = 30
_MOST_ATTEMPTS = 20  # more pods than reading a Job's code can create
_READ, _LINE = 64 * 1024, 1024 * 1024

Object = dict[str, Any]


class Cluster:
    """Jobs and their pods in one namespace. All methods raise DefinitionError when the cluster refuses a request."""

    plural, kind = "jobs", "Job"

    def __init__(self, namespace: str = "", context: str = "", kubeconfig: str = "") -> None:
        # urllib3 logs each attempt; we report only the outcome.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        if namespace:
            check_name("the namespace", namespace, LABEL)
        own = _configure(context, kubeconfig)
        self.namespace = namespace or check_name("the namespace", own, LABEL)
        given = {"--namespace": namespace, "--context": context, "--kubeconfig": kubeconfig}
        self.flags = "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)
        self._jobs: Any = client.CustomObjectsApi()
        self._pods: Any = client.CoreV1Api()

    def create(self, job: Mapping[str, Any]) -> Object:
        """Create a Job and return it."""
        with told(f"create the {self.kind}"):
            return dict(
                self._jobs.create_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, self.plural, job, _request_timeout=_ANSWER_SECONDS
                )
            )

    def get(self, name: str) -> Object:
        """Return a Job."""
        check_name(f"the name of the {self.kind}", name)
        with told(f"get the {self.kind} {name!r}"):
            return dict(
                self._jobs.get_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, self.plural, name, _request_timeout=_ANSWER_SECONDS
                )
            )

    def list(self, selector: str = "", everywhere: bool = False, seconds: float = _ANSWER_SECONDS) -> list[Object]:
        """Return the Jobs in the namespace, or in all, that match a label selector, oldest first."""
        more = {"label_selector": selector, "_request_timeout": seconds}
        with told(f"list the {self.kind}s"):
            if everywhere:
                found = self._jobs.list_cluster_custom_object(GROUP, VERSION, self.plural, **more)["items"]
            else:
                found = self._jobs.list_namespaced_custom_object(GROUP, VERSION, self.namespace, self.plural, **more)[
                    "items"
                ]
        return sorted(found, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def delete(self, name: str) -> None:
        """Delete a Job and its pods."""
        check_name(f"the name of the {self.kind}", name)  # with an empty name the request would delete all objects
        with told(f"delete the {self.kind} {name!r}"):
            self._jobs.delete_namespaced_custom_object(
                GROUP, VERSION, self.namespace, self.plural, name, propagation_policy="Background",
                _request_timeout=_ANSWER_SECONDS,
            )  # fmt: skip

    def change(self, name: str, spec: Mapping[str, Any]) -> Object:
        """Change fields of a Job's spec and return the Job."""
        check_name(f"the name of the {self.kind}", name)
        with told(f"change the {self.kind} {name!r}"):
            return dict(
                self._jobs.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    self.namespace,
                    self.plural,
                    name,
                    {"spec": dict(spec)},
                    _request_timeout=_ANSWER_SECONDS,
                )
            )

    def replace(self, changed: Mapping[str, Any]) -> Object:
        """Replace an object with a modified copy and return it."""
        name = check_name(f"the name of the {self.kind}", changed["metadata"]["name"])
        with told(f"change the {self.kind} {name!r}"):
            return dict(
                self._jobs.replace_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, self.plural, name, changed, _request_timeout=_ANSWER_SECONDS
                )
            )

    def apply(self, wanted: Object, kept: Collection[str] = ()) -> tuple[Object, str]:
        """Create an object or replace the spec of the existing one; return it and what was done.

        An existing object keeps the fields `kept` of its spec.
        """
        try:
            current = self.get(wanted["metadata"]["name"])
        except DefinitionError as error:
            if error.reason != "NotFound":
                raise
            return self.create(wanted), "created"
        spec = {key: value for key, value in wanted["spec"].items() if key not in kept}
        spec |= {key: value for key, value in current["spec"].items() if key in kept}
        changed = self.replace({**current, "spec": spec})
        same = changed["metadata"]["generation"] == current["metadata"]["generation"]
        return changed, "unchanged" if same else "changed"

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of an object."""
        check_name(f"the name of the {self.kind}", name)
        with told(f"change the {self.kind} {name!r}"):
            self._jobs.patch_namespaced_custom_object(
                GROUP, VERSION, self.namespace, self.plural, name, {"metadata": {"annotations": dict(annotations)}},
                _request_timeout=_ANSWER_SECONDS,
            )  # fmt: skip

    def try_job(self, job: Mapping[str, Any]) -> None:
        """Validate a Job in the cluster without creating it (a server-side dry run)."""
        with told("create this Job"):
            self._jobs.create_namespaced_custom_object(
                GROUP, VERSION, self.namespace, "jobs", job, dry_run="All", _request_timeout=_ANSWER_SECONDS
            )

    def step_pods(self, job: Object) -> dict[str, str]:
        """Return where each step's log is: its newest pod, or `pod/container` in a pod group."""
        with told("list the Job's pods", ours=False):
            found = self._pods.list_namespaced_pod(
                self.namespace, label_selector=f"{JOB_UID_LABEL}={job['metadata']['uid']}",
                _request_timeout=_ANSWER_SECONDS,
            ).items  # fmt: skip
        found.sort(key=lambda pod: pod.metadata.creation_timestamp)
        named = [(pod.metadata.annotations or {}).get(OP_ANNOTATION, "") for pod in found]
        pods = {step: pod.metadata.name for step, pod in zip(named, found, strict=True) if step}
        # A pod that runs several steps does not name them; the steps name the pod.
        uids = {pod.metadata.uid: pod for pod in found}
        steps = (job.get("status") or {}).get("steps") or {}
        run = run_pod(job["metadata"]["name"], job["metadata"]["uid"])
        of_all = next((pod for pod in found if pod.metadata.name == run), None)
        # In large Jobs only the first step names the pod that runs all of them.
        own = {s: uids.get(r.get("podUID") or "", of_all if r.get("attempt") else None) for s, r in steps.items()}
        shared = {step: _log_of(step, pod) for step, pod in own.items() if pod is not None}
        return {**shared, **pods}

    def code_pod(self, job: Object) -> str:
        """Return the newest pod that read the Job's code, "" when there is none."""
        meta = job["metadata"]
        with told("list the Job's pods", ours=False):
            found = self._pods.list_namespaced_pod(
                self.namespace, label_selector=f"{JOB_UID_LABEL}={meta['uid']}", _request_timeout=_ANSWER_SECONDS
            ).items
        there = {pod.metadata.name for pod in found}
        names = (resolve_pod(meta["name"], meta["uid"], attempt) for attempt in range(_MOST_ATTEMPTS, 0, -1))
        return next((name for name in names if name in there), "")

    def create_config_map(self, manifest: Mapping[str, Any]) -> None:
        """Create a ConfigMap whose name tells its content; that it is there already is success when it is the same.

        A pod runs what it holds, and anybody who may make ConfigMaps can take its name before.
        """
        name = manifest["metadata"]["name"]
        with told("create a ConfigMap", ours=False):
            try:
                self._pods.create_namespaced_config_map(self.namespace, manifest, _request_timeout=_ANSWER_SECONDS)
                return
            except ApiException as error:
                if error.status != 409:
                    raise
            there = self._pods.read_namespaced_config_map(name, self.namespace, _request_timeout=_ANSWER_SECONDS)
        found = self._pods.api_client.sanitize_for_serialization(there)
        if reason := difference("configmaps", manifest, found, False):
            text = f"the ConfigMap {name!r} is there already and is not what podgraph makes ({reason}); delete it"
            raise DefinitionError("AlreadyExists", text)

    def create_pod(self, manifest: Mapping[str, Any]) -> str:
        """Create a pod; return its uid."""
        with told("create a pod", ours=False):
            made = self._pods.create_namespaced_pod(self.namespace, manifest, _request_timeout=_ANSWER_SECONDS)
        return str(made.metadata.uid)

    def pod(self, name: str) -> Object:
        """Return a pod, as JSON has it."""
        check_name("the name of the pod", name)
        with told(f"get the pod {name!r}", ours=False):
            found = self._pods.read_namespaced_pod(name, self.namespace, _request_timeout=_ANSWER_SECONDS)
        return dict(self._pods.api_client.sanitize_for_serialization(found))

    def delete_pod(self, name: str, uid: str) -> None:
        """Delete the pod of this uid; that it is gone already, or another has its name, is success."""
        check_name("the name of the pod", name)
        wanted = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        with told(f"delete the pod {name!r}", ours=False):
            try:
                self._pods.delete_namespaced_pod(name, self.namespace, body=wanted, _request_timeout=_ANSWER_SECONDS)
            except ApiException as error:
                if error.status not in (404, 409):
                    raise

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        """Yield the lines of a step's log, at a place from :meth:`step_pods`; with `follow`, until the log ends.

        Bytes that are not UTF-8 become U+FFFD. A line without an end is yielded in parts.
        """
        name, _, container = pod.partition("/")
        check_name("the name of the pod", name)
        where = {"name": name, "namespace": self.namespace, "container": container or CONTAINER}
        limits = {"follow": True} if follow else {"_request_timeout": _ANSWER_SECONDS}
        with told(f"read the log of pod {pod!r}", ours=False):
            answer = self._pods.read_namespaced_pod_log(**where, **limits, _preload_content=False)
            try:
                yield from _lines(answer.stream(_READ, decode_content=False))
            finally:
                answer.release_conn()
                answer.close()

    def init_containers(self, pod: str) -> tuple[str, ...]:
        """Return the places of the logs of a pod's init containers, as :meth:`log` takes them."""
        name = pod.partition("/")[0]
        found = self.pod(name)["spec"].get("initContainers") or ()
        return tuple(f"{name}/{container['name']}" for container in found)

    def changes(self, names: Collection[str], version: str, seconds: int) -> Iterator[Object]:
        """Yield watch events of the named Jobs from a version on, for at most `seconds`."""
        only = {"field_selector": f"metadata.name={next(iter(names))}"} if len(names) == 1 else {}
        with told(f"watch the {self.kind}s"):
            yield from watch.Watch().stream(
                self._jobs.list_namespaced_custom_object, GROUP, VERSION, self.namespace, self.plural,
                resource_version=version, timeout_seconds=seconds, _request_timeout=seconds + 10, **only,
            )  # fmt: skip


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    text = b""
    for part in parts:
        *whole, text = (text + part).split(b"\n")
        if len(text) > _LINE:
            whole, text = [*whole, text], b""
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")
    if text:
        yield text.removesuffix(b"\r").decode(errors="replace")


def _log_of(step: str, pod: Any) -> str:
    own = step_container(step)
    has_own = any(container.name == own for container in pod.spec.containers)
    return f"{pod.metadata.name}/{own}" if has_own else str(pod.metadata.name)


def _configure(context: str, kubeconfig: str) -> str:
    """Configure the kubernetes package as kubectl would be; return the namespace of the context."""
    try:
        config.load_kube_config(kubeconfig or None, context or None)
        _, active = config.list_kube_config_contexts(kubeconfig or None)
        if context:
            found = config.list_kube_config_contexts(kubeconfig or None)[0]
            active = next(item for item in found if item["name"] == context)
        return str(active["context"].get("namespace") or "default")
    except ConfigException as error:
        problem = " ".join(str(error).split())
    except (OSError, StopIteration, KeyError, TypeError) as error:
        problem = f"{type(error).__name__}: {error}"
    with contextlib.suppress(ConfigException, OSError):  # a pod has a service account instead
        if not (context or kubeconfig):
            config.load_incluster_config()
            with open(_SERVICE_ACCOUNT, encoding="utf-8") as file:
                return file.read().strip()
    raise DefinitionError("NoKubeconfig", f"no usable kubeconfig: {problem.rstrip('.')}")
