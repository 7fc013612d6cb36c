"""Which refusals of a pod pass."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from podgraph.planning.pods.refusals import never_fits, quantity, reason_to_wait

FULL = 'pods "x" is forbidden: exceeded quota: q2, requested: pods=1, used: pods=1, limited: pods=1'
NEVER = 'pods "x" is forbidden: exceeded quota: q2, requested: pods=1, used: pods=0, limited: pods=0'
NO_ACCOUNT = 'pods "x" is forbidden: error looking up service account n/default: serviceaccount "default" not found'


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected"),
    [
        (403, "Forbidden", FULL, "QuotaExceeded"),
        (403, "Forbidden", "exceeded quota: few, requested: pods=1", "QuotaExceeded"),
        (403, "Forbidden", 'pods "x" is forbidden: status unknown for quota: q, resources: pods', "QuotaExceeded"),
        (403, "Forbidden", NO_ACCOUNT, "ServiceAccountNotFound"),
        (403, "Forbidden", NEVER, ""),
        (403, "Forbidden", 'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: step', ""),
        (403, "Forbidden", 'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2', ""),
        (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged', ""),
        (403, "Forbidden", 'admission webhook "w" denied the request: no', ""),
        (403, "Forbidden", 'pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods"', ""),
        (400, "BadRequest", FULL, ""),
        (422, "Invalid", "exceeded quota: ", ""),
        (0, "Conflict", "Operation cannot be fulfilled on resourcequotas", "Conflict"),
        (409, "AlreadyExists", 'pods "x" already exists', ""),
        (429, "TooManyRequests", "", "TooManyRequests"),
        (500, "InternalError", "", ""),
        (0, "Unreachable", "", ""),
    ],
)
def test_what_passes(status: int, reason: str, message: str, expected: str) -> None:
    assert reason_to_wait(status, reason, message) == expected


@pytest.mark.parametrize(
    ("requested", "limited", "expected"),
    [
        ("pods=1", "pods=0", True),
        ("cpu=1500m", "cpu=1", True),
        ("cpu=1500m,pods=1", "cpu=2,pods=1", False),
        ("requests.memory=2Gi", "requests.memory=2000Mi", True),
        ("requests.memory=2Gi", "requests.memory=2048Mi", False),
        ("requests.nvidia.com/gpu=2", "requests.nvidia.com/gpu=1", True),
        ("cpu=1", "memory=0", False),
        ("cpu=much", "cpu=0", False),
        ("cpu=1", "cpu=NaN", False),
        ("cpu=1e99999", "cpu=1", False),
        ("", "", False),
    ],
)
def test_what_never_fits(requested: str, limited: str, expected: bool) -> None:
    assert never_fits(f"exceeded quota: q, requested: {requested}, used: , limited: {limited}") is expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("100m", "0.1"),
        ("1k", "1000"),
        ("1Mi", "1048576"),
        ("12e3", "12000"),
        ("1E", "1e18"),
        ("5n", "5e-9"),
    ],
)
def test_quantities(text: str, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "m", "Ki", "1e", "--1", "0x1", "Infinity", "NaN", "1 2", "9" * 41, "1e999"])
def test_what_is_not_a_quantity(text: str) -> None:
    assert quantity(text) is None


@pytest.mark.parametrize("piece", ["exceeded quota: ", "a=1,", ", requested: ", "9" * 1000, "=", ","])
def test_a_message_of_any_length_is_read_in_no_time(piece: str) -> None:
    text = "exceeded quota: q, requested: " + piece * (4_000_000 // len(piece))
    before = time.process_time()
    reason_to_wait(403, "Forbidden", text)
    assert time.process_time() - before < 0.1
