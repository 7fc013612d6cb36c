"""Which refusals of the API server pass, so that the same pod can be created later.

A ResourceQuota that is full has room again when pods end, and the Job controller of Kubernetes waits for that too. A
request above the limit itself never fits. The texts come from the ResourceQuota admission plugin; other admission
plugins and webhooks may write anything, so only the first characters are read, and each once.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

__all__ = ["QUOTA_EXCEEDED", "never_fits", "quantity", "reason_to_wait"]

QUOTA_EXCEEDED = "QuotaExceeded"

_MOST_READ = 4_096
_MOST_DIGITS = 40
_NUMBER = frozenset("0123456789.+-eE")
_BINARY = {unit: 1024 ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(10**3), "M": Decimal(10**6),
    "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
}  # fmt: skip


def reason_to_wait(status: int, reason: str, message: str) -> str:
    """Return why a pod cannot be created yet, "" when the refusal is final or it is not known what became of the pod.

    `status` is 0 for a conflict of which the client knows that it passes.
    """
    if status == 429:
        return "TooManyRequests"
    if reason == "Conflict" and status in (0, 409):
        return "Conflict"
    if status != 403:
        return ""
    text = message[:_MOST_READ]
    if "exceeded quota: " in text:
        return "" if never_fits(text) else QUOTA_EXCEEDED
    if "status unknown for quota: " in text:  # the quota is new, and nothing is counted yet
        return QUOTA_EXCEEDED
    if 'serviceaccount "default" not found' in text:  # the namespace is new
        return "ServiceAccountNotFound"
    return ""


def never_fits(message: str) -> bool:
    """Whether a pod requests more of something than the quota allows at all.

    >>> never_fits("exceeded quota: q, requested: cpu=2,pods=1, used: cpu=0,pods=1, limited: cpu=1500m,pods=1")
    True
    >>> never_fits("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")
    False
    """
    _, _, rest = message[:_MOST_READ].partition("exceeded quota: ")
    requested, _, rest = rest.partition(", requested: ")[2].partition(", used: ")
    limited = _amounts(rest.partition(", limited: ")[2])
    for name, amount in _amounts(requested).items():
        most = limited.get(name)
        if most is not None and amount > most:
            return True
    return False


def _amounts(text: str) -> dict[str, Decimal]:
    pairs = (item.strip().partition("=") for item in text.split(","))
    found = ((name, quantity(amount)) for name, _, amount in pairs)
    return {name: amount for name, amount in found if amount is not None}


def quantity(text: str) -> Decimal | None:
    """Return the number that a Kubernetes quantity is, None for a text that is not one.

    >>> quantity("1500m"), quantity("1Ki"), quantity("2e3"), quantity("much")
    (Decimal('1.500'), Decimal('1024'), Decimal('2E+3'), None)
    """
    factor = Decimal(1)
    if text[-2:] in _BINARY:
        text, factor = text[:-2], Decimal(_BINARY[text[-2:]])
    elif text[-1:] in _DECIMAL:
        text, factor = text[:-1], _DECIMAL[text[-1:]]
    digits, _, exponent = text.replace("E", "e").partition("e")
    if not digits or len(text) > _MOST_DIGITS or len(exponent.lstrip("+-")) > 2 or not set(text) <= _NUMBER:
        return None
    try:
        return Decimal(text) * factor
    except InvalidOperation:
        return None
