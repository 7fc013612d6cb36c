"""The cluster a command speaks to: which one, as kubectl would choose it, and Jobs in one of its namespaces."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import urllib3
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from podgraph.definition.errors import DefinitionError
from podgraph.planning.kube_names import LABEL, check_name
from podgraph.planning.names import CONTAINER, GROUP, JOB_UID_LABEL, OP_ANNOTATION, run_pod, step_container

__all__ = ["Cluster"]

_VERSION = "v1alpha1"
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_ANSWER_SECONDS = 30

Object = dict[str, Any]


class Cluster:
    """Jobs and their pods in one namespace. All methods raise DefinitionError for what the cluster refuses."""

    plural, kind = "jobs", "Job"

    def __init__(self, namespace: str = "", context: str = "", kubeconfig: str = "") -> None:
        self.namespace = check_name("the namespace", namespace or _configure(context, kubeconfig), LABEL)
        if namespace:
            _configure(context, kubeconfig)
        self._jobs: Any = client.CustomObjectsApi()
        self._pods: Any = client.CoreV1Api()

    def create(self, job: Mapping[str, Any]) -> Object:
        """Create a Job and return it."""
        with _told(f"create the {self.kind}"):
            return dict(
                self._jobs.create_namespaced_custom_object(
                    GROUP, _VERSION, self.namespace, self.plural, job, _request_timeout=_ANSWER_SECONDS
                )
            )

    def get(self, name: str) -> Object:
        """Return a Job."""
        check_name(f"the name of the {self.kind}", name)
        with _told(f"get the {self.kind} {name!r}"):
            return dict(
                self._jobs.get_namespaced_custom_object(
                    GROUP, _VERSION, self.namespace, self.plural, name, _request_timeout=_ANSWER_SECONDS
                )
            )

    def list(self) -> list[Object]:
        """Return all Jobs of the namespace, the oldest first."""
        with _told(f"list the {self.kind}s"):
            found = self._jobs.list_namespaced_custom_object(
                GROUP, _VERSION, self.namespace, self.plural, _request_timeout=_ANSWER_SECONDS
            )["items"]
        return sorted(found, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def delete(self, name: str) -> None:
        """Delete a Job, and with it its pods."""
        check_name(f"the name of the {self.kind}", name)  # with an empty one the request would delete all there are
        with _told(f"delete the {self.kind} {name!r}"):
            self._jobs.delete_namespaced_custom_object(
                GROUP, _VERSION, self.namespace, self.plural, name, propagation_policy="Background",
                _request_timeout=_ANSWER_SECONDS,
            )  # fmt: skip

    def change(self, name: str, spec: Mapping[str, Any]) -> Object:
        """Change fields of a Job's spec and return the Job."""
        check_name(f"the name of the {self.kind}", name)
        with _told(f"change the {self.kind} {name!r}"):
            return dict(
                self._jobs.patch_namespaced_custom_object(
                    GROUP,
                    _VERSION,
                    self.namespace,
                    self.plural,
                    name,
                    {"spec": dict(spec)},
                    _request_timeout=_ANSWER_SECONDS,
                )
            )

    def replace(self, changed: Mapping[str, Any]) -> Object:
        """Put a changed object in place of the one that it was read from, and return it."""
        name = check_name(f"the name of the {self.kind}", changed["metadata"]["name"])
        with _told(f"change the {self.kind} {name!r}"):
            return dict(
                self._jobs.replace_namespaced_custom_object(
                    GROUP, _VERSION, self.namespace, self.plural, name, changed, _request_timeout=_ANSWER_SECONDS
                )
            )

    def apply(self, wanted: Object, kept: Collection[str] = ()) -> tuple[Object, str]:
        """Make an object, or give the one of this name another spec; return it, and what was done.

        The fields `kept` of the spec stay as one that is there already has them.
        """
        try:
            current = self.get(wanted["metadata"]["name"])
        except DefinitionError as error:
            if error.reason != "NotFound":
                raise
            return self.create(wanted), "made"
        spec = {key: value for key, value in wanted["spec"].items() if key not in kept}
        spec |= {key: value for key, value in current["spec"].items() if key in kept}
        changed = self.replace({**current, "spec": spec})
        same = changed["metadata"]["generation"] == current["metadata"]["generation"]
        return changed, "unchanged" if same else "changed"

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Put annotations on an object."""
        check_name(f"the name of the {self.kind}", name)
        with _told(f"change the {self.kind} {name!r}"):
            self._jobs.patch_namespaced_custom_object(
                GROUP, _VERSION, self.namespace, self.plural, name, {"metadata": {"annotations": dict(annotations)}},
                _request_timeout=_ANSWER_SECONDS,
            )  # fmt: skip

    def try_job(self, job: Mapping[str, Any]) -> None:
        """Have the cluster check a Job without making it."""
        with _told("make this Job"):
            self._jobs.create_namespaced_custom_object(
                GROUP, _VERSION, self.namespace, "jobs", job, dry_run="All", _request_timeout=_ANSWER_SECONDS
            )

    def step_pods(self, job: Object) -> dict[str, str]:
        """Return where the log of each step is that has a pod: its newest pod, or `pod/container` in one it shares."""
        with _told("list the Job's pods"):
            found = self._pods.list_namespaced_pod(
                self.namespace, label_selector=f"{JOB_UID_LABEL}={job['metadata']['uid']}",
                _request_timeout=_ANSWER_SECONDS,
            ).items  # fmt: skip
        found.sort(key=lambda pod: pod.metadata.creation_timestamp)
        named = [(pod.metadata.annotations or {}).get(OP_ANNOTATION, "") for pod in found]
        pods = {step: pod.metadata.name for step, pod in zip(named, found, strict=True) if step}
        # A pod that runs several steps names none; they name it.
        uids = {pod.metadata.uid: pod for pod in found}
        steps = (job.get("status") or {}).get("steps") or {}
        run = run_pod(job["metadata"]["name"], job["metadata"]["uid"])
        of_all = next((pod for pod in found if pod.metadata.name == run), None)
        # In large jobs only the first of its steps names the pod that runs them all.
        own = {s: uids.get(r.get("podUID") or "", of_all if r.get("attempt") else None) for s, r in steps.items()}
        shared = {step: _log_of(step, pod) for step, pod in own.items() if pod is not None}
        return {**shared, **pods}

    def create_config_map(self, manifest: Mapping[str, Any]) -> None:
        """Create a ConfigMap whose name tells its content; that it is there already is success."""
        with _told("create a ConfigMap"):
            try:
                self._pods.create_namespaced_config_map(self.namespace, manifest, _request_timeout=_ANSWER_SECONDS)
            except ApiException as error:
                if error.status != 409:
                    raise

    def create_pod(self, manifest: Mapping[str, Any]) -> None:
        """Create a pod."""
        with _told("create a pod"):
            self._pods.create_namespaced_pod(self.namespace, manifest, _request_timeout=_ANSWER_SECONDS)

    def pod(self, name: str) -> Object:
        """Return a pod, as JSON has it."""
        check_name("the name of the pod", name)
        with _told(f"get the pod {name!r}"):
            found = self._pods.read_namespaced_pod(name, self.namespace, _request_timeout=_ANSWER_SECONDS)
        return dict(self._pods.api_client.sanitize_for_serialization(found))

    def delete_pod(self, name: str) -> None:
        """Delete a pod."""
        check_name("the name of the pod", name)
        with _told(f"delete the pod {name!r}"):
            self._pods.delete_namespaced_pod(name, self.namespace, _request_timeout=_ANSWER_SECONDS)

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        """Yield the lines of the log of a step, by what :meth:`step_pods` says; with `follow` until its end."""
        name, _, container = pod.partition("/")
        check_name("the name of the pod", name)
        where = {"name": name, "namespace": self.namespace, "container": container or CONTAINER}
        with _told(f"read the log of pod {pod!r}"):
            if follow:
                yield from watch.Watch().stream(self._pods.read_namespaced_pod_log, **where)
                return
            text = self._pods.read_namespaced_pod_log(**where, _request_timeout=_ANSWER_SECONDS)
        yield from text.splitlines()


def _log_of(step: str, pod: Any) -> str:
    own = step_container(step)
    has_own = any(container.name == own for container in pod.spec.containers)
    return f"{pod.metadata.name}/{own}" if has_own else str(pod.metadata.name)


def _configure(context: str, kubeconfig: str) -> str:
    """Set up the kubernetes package as kubectl would be; return the namespace that stands there."""
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
    with contextlib.suppress(ConfigException, OSError):  # in a pod there is a service account instead
        if not (context or kubeconfig):
            config.load_incluster_config()
            with open(_SERVICE_ACCOUNT, encoding="utf-8") as file:
                return file.read().strip()
    raise DefinitionError("NoCluster", f"there is no kubeconfig to use: {problem.rstrip('.')}")


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell what the cluster refuses, or that it does not answer, in a sentence."""
    try:
        yield
    except ApiException as error:
        reason = (error.reason or "ApiError").replace(" ", "")  # HTTP's phrase: "Not Found"
        raise DefinitionError(reason, f"cannot {what}: {_message(error)}") from None
    except urllib3.exceptions.HTTPError as error:
        host = client.Configuration.get_default_copy().host
        cause = getattr(error, "reason", None) or error
        raise DefinitionError("NoCluster", f"cannot {what}: the cluster at {host} does not answer: {cause}") from None


def _message(error: ApiException) -> str:
    import json

    with contextlib.suppress(ValueError, TypeError):
        told = json.loads(error.body or "").get("message")
        if told:
            return str(told)
    return f"{error.status} {error.reason}"
