"""Names and labels of what the operator makes. They follow from the Job alone, so that making twice makes once."""

from __future__ import annotations

import base64
import hashlib
import re

from podgraph.api import API_VERSION, GROUP

__all__ = [
    "AHEAD_LABEL",
    "API_VERSION",
    "ASSIGNED",
    "ASSIGNMENT",
    "CONTAINER",
    "DEFINITION_LABEL",
    "GROUP",
    "INPUTS",
    "JOB_LABEL",
    "JOB_UID_LABEL",
    "MANAGED_BY",
    "MANAGED_BY_LABEL",
    "OP_ANNOTATION",
    "OP_LABEL",
    "POD_LABEL",
    "SCRIPT",
    "START",
    "STORAGE_FINALIZER",
    "WAITING",
    "clean_pod",
    "code_config_map",
    "evaluator_nonce",
    "evaluator_pod",
    "key_secret",
    "keys_map",
    "label_value",
    "log_pod",
    "nonce",
    "resolve_pod",
    "run_nonce",
    "run_pod",
    "runtime_config_map",
    "shared_nonce",
    "shared_pod",
    "step_container",
    "step_pod",
    "token_entry",
]

MANAGED_BY_LABEL, MANAGED_BY = "app.kubernetes.io/managed-by", "podgraph"
JOB_LABEL, JOB_UID_LABEL, OP_LABEL = f"{GROUP}/job", f"{GROUP}/job-uid", f"{GROUP}/op"
DEFINITION_LABEL = f"{GROUP}/definition"
POD_LABEL = f"{GROUP}/pod"
OP_ANNOTATION, ASSIGNMENT, SCRIPT = f"{GROUP}/op", f"{GROUP}/assignment", f"{GROUP}/script"
START, INPUTS = f"{GROUP}/start", f"{GROUP}/inputs"
STORAGE_FINALIZER = f"{GROUP}/storage"
CONTAINER = "step"
AHEAD_LABEL, WAITING, ASSIGNED = f"{GROUP}/ahead", "waiting", "assigned"
"""On pods that were started ahead: whether they still wait for what they are to do."""

_MAX_NAME = 63  # a pod's name becomes its host name


def step_pod(job: str, uid: str, op: str, attempt: int, released: int = 0) -> str:
    """Return the name of the pod of one attempt at a step, after `released` that were started ahead for nothing.

    >>> step_pod("arithmetic", "0000", "src.add_two", 1)
    'arithmetic-src-add-two-...'
    """
    return _name(job, op, f"{uid}/{op}/{attempt}/{released}" if released else f"{uid}/{op}/{attempt}")


def resolve_pod(job: str, uid: str, attempt: int = 1) -> str:
    """Return the name of the pod of one attempt to learn the graph of a Job's code."""
    return _name(job, "resolve", f"{uid}//resolve" if attempt == 1 else f"{uid}//resolve/{attempt}")


def run_pod(job: str, uid: str) -> str:
    """Return the name of the one pod that runs all steps of a Job."""
    return _name(job, "run", f"{uid}//run")


def shared_pod(job: str, uid: str, pod: str, attempt: int) -> str:
    """Return the name of one attempt at a pod that several steps share."""
    return _name(job, pod, f"{uid}//pod/{pod}/{attempt}")


def step_container(op: str) -> str:
    """Return the name of an op's container in a pod that it shares.

    >>> step_container("fetch")
    'step-fetch'
    """
    slug = _slug(op)
    return f"{CONTAINER}-{slug}" if slug == op and len(op) < 50 else f"{CONTAINER}-{slug[:40]}-{_hash(op, 10)}"


def clean_pod(job: str, uid: str) -> str:
    """Return the name of the pod that deletes what a Job stored."""
    return _name(job, "clean", f"{uid}//clean")


def log_pod(job: str, uid: str, nonce: str) -> str:
    """Return the name of a pod that prints what a Job's steps have printed."""
    return _name(job, "logs", f"{uid}//logs/{nonce}")


def evaluator_pod(owner: str, unique: str) -> str:
    """Return the name of a pod that evaluates for schedules and sensors."""
    return _name(owner, "evaluate", unique)


def keys_map(sensor: str, unique: str) -> str:
    """Return the name of a ConfigMap that holds what a sensor has made Jobs for."""
    return _name(sensor, "keys", unique)


def code_config_map(job: str, uid: str) -> str:
    """Return the name of the ConfigMap that holds a Job's own copy of its code."""
    return _name(job, "code", f"{uid}//code")


def key_secret(owner: str, unguessable: str) -> str:
    """Return the name of the Secret with the key of a Job, of a JobDefinition or of a JobSensor."""
    return _name(owner, "key", unguessable)


def token_entry(op: str, attempt: int) -> str:
    """Return the entry of a Job's Secret that holds the token of one attempt at a script op."""
    return f"t-{_hash(op, 16)}-{attempt}"


def runtime_config_map(digest: str) -> str:
    """Return the name of the ConfigMap that holds the step runtime whose content has this hex digest."""
    return f"podgraph-runtime-{digest[:12]}"


def nonce(uid: str, op: str, attempt: int) -> str:
    """Return what a step's record must repeat: it tells the attempt, and is not secret (see protocol.signing)."""
    return _hash(f"nonce/{uid}/{op}/{attempt}", 16)


def run_nonce(uid: str) -> str:
    """Return what the one pod that runs all steps of a Job must repeat."""
    return _hash(f"nonce/{uid}//run", 16)


def shared_nonce(uid: str, pod: str, attempt: int) -> str:
    """Return what the record and the reports of that attempt must repeat."""
    return _hash(f"nonce/{uid}//pod/{pod}/{attempt}", 16)


def evaluator_nonce(key: str, pod: str) -> str:
    """Return what the answers of that pod must repeat."""
    return _hash(f"nonce/{key}//evaluate/{pod}", 16)


def label_value(text: str) -> str:
    """Return `text` as a label value: itself when Kubernetes allows it, else shortened with a hash.

    >>> label_value("add_two")
    'add_two'
    >>> len(label_value("x" * 100))
    63
    """
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", text):
        return text
    clean = re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("._-")
    return f"{clean[:52]}-{_hash(text, 10)}".lstrip("._-")


def _name(job: str, part: str, unique: str) -> str:
    digest = _hash(unique, 10)
    room = _MAX_NAME - len(digest) - 2
    part = _slug(part)[: room // 2]
    job = _slug(job)[: room - len(part)].strip("-")
    return "-".join(piece for piece in (job, part.strip("-"), digest) if piece)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _hash(text: str, length: int) -> str:
    """Return `length` characters of 5 bits each; 10 hold 50 bits, enough for a namespace's pods."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:length]
