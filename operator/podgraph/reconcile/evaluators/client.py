"""Those who ask a pod that evaluates, and what is kept of such a pod between passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from podgraph.api import Object
from podgraph.protocol.answers import Answer, Answers
from podgraph.protocol.signing import Signer
from podgraph.scheduling.evaluators import EvaluatorSpec, PodOf

__all__ = ["MOST_IN_NAMESPACE", "MOST_PODS", "WARM_SECONDS", "EvaluatorPod", "EvaluatorClient", "no_room"]

MOST_PODS = 80
"""How many pods may evaluate at once; the log of each holds a connection."""
MOST_IN_NAMESPACE = 20
"""How many of them may be of one namespace, so that the others have room."""

WARM_SECONDS = 60.0
"""How long before it is needed a pod is made."""
_LINGER_SECONDS = 180.0  # one that will be needed within this stays

Trouble = tuple[str, str]


class Pods(Protocol):
    """Where seats are taken."""

    def join(self, spec: EvaluatorSpec, seat: EvaluatorClient) -> EvaluatorPod:
        """Take in one who asks."""

    def leave(self, pod: EvaluatorPod, seat: EvaluatorClient) -> None:
        """Take in that one asks no more."""

    def ask(self, pod: EvaluatorPod, seat: EvaluatorClient, request: Object) -> str:
        """Ask a pod for something; return the id of the request."""

    def unask(self, pod: EvaluatorPod, name: str) -> None:
        """Take back what was asked."""

    def requeue(self, pod: EvaluatorPod) -> None:
        """Have a pod looked at."""


class EvaluatorClient:
    """One who asks. `answer` is that to what was asked last; `error`, (reason, message), why there may be none.

    `wake` is called when either changed. `find` says which pod it is to be, as it is known now.
    """

    def __init__(self, evaluators: Pods, find: Callable[[], PodOf], wake: Callable[[], None]) -> None:
        self._evaluators, self._find, self._wake = evaluators, find, wake
        self._pod: EvaluatorPod | None = None
        self._trouble: Trouble | None = None
        self._request: Object | None = None
        self._id = ""
        self.answer: Answer | None = None
        self.needed_at = float("inf")
        self.reconcile()

    @property
    def error(self) -> Trouble | None:
        """What keeps the answer."""
        return self._trouble if self._pod is None else self._pod.error

    @property
    def is_asked(self) -> bool:
        """Whether an answer is on its way, or there already."""
        return self._request is not None

    def ask(self, request: Object) -> None:
        """Ask for something, in place of what was asked before."""
        self._unask()
        self._request, self.answer = request, None
        self._ask()

    def done(self) -> None:
        """Say that the answer is dealt with."""
        self._unask()
        self._request = self.answer = None

    def need_at(self, moment: float) -> None:
        """Say when it will ask the next time, so that the pod is there by then."""
        self.needed_at = moment
        if self._pod is not None:
            self._evaluators.requeue(self._pod)

    def reconcile(self) -> None:
        """Take in that its pod may be another one now."""
        found = self._find()
        if found.spec is None:
            self._leave()
            self._trouble = (found.reason, found.message) if found.reason else None
        elif self._pod is None or self._pod.spec != found.spec:
            self._leave()
            self._pod = self._evaluators.join(found.spec, self)
            if self.answer is None:
                self._ask()

    def answered(self, answer: Answer) -> None:
        """Take in the answer."""
        self.answer = answer
        self._wake()

    def woken(self) -> None:
        """Take in that there is trouble, or no more."""
        self._wake()

    def close(self) -> None:
        """Ask no more."""
        self.done()
        self._leave()
        self._find = lambda: PodOf()

    def _ask(self) -> None:
        if self._pod is not None and self._request is not None:
            self._id = self._evaluators.ask(self._pod, self, self._request)

    def _unask(self) -> None:
        if self._pod is not None and self._id:
            self._evaluators.unask(self._pod, self._id)
        self._id = ""

    def _leave(self) -> None:
        self._unask()
        if self._pod is not None:
            self._evaluators.leave(self._pod, self)
            self._pod = None


class EvaluatorPod:
    """What is kept of one pod between passes. `name` is that of the pod that there is, `told` what it was asked."""

    def __init__(self, spec: EvaluatorSpec, signed_with: bytes = b"") -> None:
        self._signed_with = signed_with
        self.spec, self.key = spec, spec.key
        self.seats: list[EvaluatorClient] = []
        self.requests: dict[str, Object] = {}
        self.askers: dict[str, EvaluatorClient] = {}
        self.asked_at: dict[str, float] = {}  # since when a pod that runs has known of it
        self.error: Trouble | None = None
        self.attempt = self.failures = 0
        self.due = 0.0
        self.name = ""
        self.told: set[str] | None = None
        self.released_uids: set[str] = set()  # by uid; what is seen of them may be of before
        self.reader = Answers(self.signer)

    def is_needed(self, now: float) -> bool:
        """Whether there is to be a pod."""
        if any(seat.is_asked for seat in self.seats):  # one that has not dealt with its answer may ask again at once
            return True
        return self.needed_at - (_LINGER_SECONDS if self.name else WARM_SECONDS) <= now

    @property
    def needed_at(self) -> float:
        """When somebody will ask next."""
        return min((seat.needed_at for seat in self.seats), default=float("inf"))

    @property
    def signer(self) -> Signer:
        """What reads what the pod says."""
        return Signer(self.spec.nonce(self.name), self._signed_with)

    def adopt(self, name: str, told: set[str] | None) -> None:
        """Go on with the pod of this name."""
        self.name, self.told = name, told
        self.reader = Answers(self.signer)
        self.asked_at = {}

    def tell(self, trouble: Trouble | None) -> None:
        """Say what is wrong, or that nothing is."""
        if trouble != self.error:
            self.error = trouble
            for seat in list(self.seats):
                seat.woken()


def no_room(pods: Iterable[EvaluatorPod], namespace: str) -> str:
    """Return why no other pod can be made in a namespace now, "" when one can."""
    there = [pod.spec.ref.namespace for pod in pods if pod.name]
    if there.count(namespace) >= MOST_IN_NAMESPACE:
        return f"{MOST_IN_NAMESPACE} pods evaluate in this namespace already, which is the most"
    if len(there) >= MOST_PODS:
        return f"{MOST_PODS} pods evaluate in the cluster already, which is the most"
    return ""
