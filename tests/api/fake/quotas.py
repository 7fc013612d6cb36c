"""The ResourceQuota admission plugin, for pods: what it counts, and its words (Kubernetes 1.35)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from .errors import ApiError, details_of
from .resources import Resource
from .store import Obj

_UNITS = {"m": Decimal("0.001"), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "": Decimal(1)}


def check_quotas(resource: Resource, pod: Obj, quotas: Iterable[Obj], pods: Iterable[Obj]) -> None:
    """Raise the 403 of the first quota that a new pod exceeds, or in which it has to name what it requests."""
    there = list(pods)
    name = pod["metadata"]["name"]
    for quota in quotas:
        hard, called = quota["spec"]["hard"], quota["metadata"]["name"]
        missing = [key for key in sorted(hard) if not _is_named(pod, key)]
        if missing:
            containers = ",".join(c["name"] for c in pod["spec"]["containers"])
            what = "; ".join(f"{key} for: {containers}" for key in missing)
            raise _forbidden(resource, name, f"failed quota: {called}: must specify {what}")
        wanted = {key: _amount(pod, key) for key in sorted(hard)}
        used = {key: sum((_amount(p, key) for p in there if _counts(p, key)), Decimal(0)) for key in hard}
        over = [key for key in wanted if used[key] + wanted[key] > _number(hard[key])]
        if over:
            requested, so_far = (",".join(f"{key}={_shown(row[key])}" for key in over) for row in (wanted, used))
            limited = ",".join(f"{key}={hard[key]}" for key in over)
            why = f"exceeded quota: {called}, requested: {requested}, used: {so_far}, limited: {limited}"
            raise _forbidden(resource, name, why)


def _forbidden(resource: Resource, name: str, why: str) -> ApiError:
    return ApiError(403, f'{resource.plural} "{name}" is forbidden: {why}', details=details_of(resource, name))


def _counts(pod: Obj, key: str) -> bool:
    return key == "count/pods" or pod["status"].get("phase") not in ("Succeeded", "Failed")


def _amount(pod: Obj, key: str) -> Decimal:
    if key in ("pods", "count/pods"):
        return Decimal(1)
    kind, name = _of(key)
    rows = (c.get("resources", {}).get(kind, {}) for c in pod["spec"]["containers"])
    return sum((_number(row[name]) for row in rows if name in row), Decimal(0))


def _is_named(pod: Obj, key: str) -> bool:
    if key in ("pods", "count/pods"):
        return True
    kind, name = _of(key)
    return all(name in c.get("resources", {}).get(kind, {}) for c in pod["spec"]["containers"])


def _of(key: str) -> tuple[str, str]:
    kind, _, name = key.rpartition(".")
    return kind or "requests", name


def _number(text: str | int) -> Decimal:
    digits = str(text).rstrip("mKMGi")
    return Decimal(digits) * _UNITS[str(text)[len(digits) :]]


def _shown(number: Decimal) -> str:
    return f"{int(number)}" if number == int(number) else f"{int(number * 1000)}m"
