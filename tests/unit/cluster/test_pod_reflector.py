from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from podgraph.cluster.pod_reflector import PodReflector
from podgraph.planning.model.names import API_VERSION, JOB_UID_LABEL
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Meta, OwnerReference, Pod, doubt

OWNER = Owner("ns", "Job", "u1")


def pod(uid: str = "p1", version: int = 1, name: str = "a", namespace: str = "ns", owner: str = "u1") -> Pod:
    fields: Any = {"api_version": API_VERSION, "kind": "Job", "name": "j", "uid": owner, "controller": True}
    return Pod(Meta(name, namespace, uid, str(version), {JOB_UID_LABEL: "u1"}, [OwnerReference(**fields)]))


class Watched:
    """A reflector, told of pods as the watch would."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.counts: list[str] = []
        self.view = PodReflector(cast(Any, None), lambda uid, name: self.changes.append(name))
        self.view.ignored = lambda kind, reason: self.counts.append(reason)

    def tell(self, kind: str, *pods: Pod) -> None:
        for item in pods:
            self.view._places[0].changed(kind, msgspec.json.decode(msgspec.json.encode(item), type=Pod))

    def uids(self) -> dict[str, str]:
        return {name: item.metadata.uid for name, item in self.view.of("u1").items()}


@pytest.fixture
def watched() -> Watched:
    found = Watched()
    found.view.adopt("u1", OWNER)
    return found


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, ""),
        ({"namespace": "evil"}, "OtherNamespace"),
        ({"controller": False}, "NoController"),
        ({"controller": None}, "NoController"),
        ({"api_version": "batch/v1"}, "NoController"),
        ({"kind": "JobDefinition"}, "OtherController"),
        ({"uid": "u2"}, "OtherController"),
    ],
)
def test_whose_an_object_is(other: dict[str, Any], reason: str) -> None:
    owner = {key: value for key, value in other.items() if key != "namespace"}
    meta = pod(namespace=other.get("namespace", "ns")).metadata
    reference = msgspec.structs.replace(meta.owner_references[0], **owner)
    assert doubt(msgspec.structs.replace(meta, owner_references=[reference]), OWNER) == reason


def test_a_pod_without_owners_is_nobodys() -> None:
    assert doubt(msgspec.structs.replace(pod().metadata, owner_references=[]), OWNER) == "NoController"


def test_what_was_there_before_is_adopted_whatever_else_has_its_name() -> None:
    watched = Watched()
    real, other = pod("p1", 1), pod("e1", 2, namespace="evil")
    for order in ([real, other], [other, real]):
        watched.view.forget("u1")
        watched.tell("ADDED", *order)
        assert watched.view.of("u1") == {}
        assert [item.metadata.uid for item in watched.view.unclaimed("u1", OWNER)] == ["p1"]
        watched.view.adopt("u1", OWNER)
        assert watched.uids() == {"a": "p1"}
    assert watched.counts == ["OtherNamespace"] * 2
    assert watched.view.has_strangers("u1")


def test_after_that_only_what_we_make(watched: Watched) -> None:
    watched.tell("ADDED", pod("p1"), pod("p2", 2, "b", namespace="evil"), pod("p3", 3, "c", owner="u2"))
    watched.tell("MODIFIED", pod("p1", 4))
    assert (watched.uids(), watched.changes) == ({}, [])
    assert watched.counts == ["NotMade", "OtherNamespace", "OtherController"]
    watched.view.put("u1", pod("p9", 5))
    watched.tell("MODIFIED", pod("p9", 6))
    assert (watched.uids(), watched.changes) == ({"a": "p9"}, ["a", "a"])


@pytest.mark.parametrize("told", ["before", "after", "never"])
def test_the_watch_may_tell_of_a_pod_before_the_answer_to_its_create(watched: Watched, told: str) -> None:
    watched.view.making("u1", "a")
    if told == "before":
        watched.tell("ADDED", pod("p1", 1))
        watched.tell("MODIFIED", pod("p1", 2))
        assert watched.uids() == {}
    watched.view.put("u1", pod("p1", 1))
    if told == "after":
        watched.tell("ADDED", pod("p1", 1))
        watched.tell("MODIFIED", pod("p1", 2))
    assert watched.view.of("u1")["a"].metadata.resource_version == ("1" if told == "never" else "2")
    assert watched.counts == []


def test_a_pod_that_went_before_the_answer_came_is_gone(watched: Watched) -> None:
    watched.view.making("u1", "a")
    watched.tell("ADDED", pod("p1", 1))
    watched.tell("DELETED", pod("p1", 2))
    watched.view.put("u1", pod("p1", 1))
    assert watched.view.of("u1")["a"].gone


def test_a_pod_whose_name_another_has_by_the_time_the_answer_comes_is_gone(watched: Watched) -> None:
    watched.view.making("u1", "a")
    watched.tell("ADDED", pod("p1", 1))
    watched.tell("DELETED", pod("p1", 2))
    watched.tell("ADDED", pod("e1", 3))
    watched.view.put("u1", pod("p1", 1))
    found = watched.view.of("u1")["a"]
    assert (found.metadata.uid, found.gone) == ("p1", True)
    assert watched.counts == ["NotMade"]


def test_one_that_had_the_name_before_ours_does_not_count(watched: Watched) -> None:
    watched.view.making("u1", "a")
    watched.tell("ADDED", pod("e1", 1))
    watched.view.put("u1", pod("p1", 3))
    found = watched.view.of("u1")["a"]
    assert (found.metadata.uid, found.gone) == ("p1", False)


def test_nobody_else_changes_or_ends_a_pod_of_ours(watched: Watched) -> None:
    watched.view.put("u1", pod("p1", 1))
    watched.tell("ADDED", pod("e1", 5), pod("e2", 6, namespace="evil"))
    watched.tell("DELETED", pod("e1", 7), pod("e2", 8, namespace="evil"))
    found = watched.view.of("u1")["a"]
    assert (found.metadata.uid, found.metadata.resource_version, found.gone) == ("p1", "1", False)


def test_nothing_is_kept_of_pods_that_are_not_ours(watched: Watched) -> None:
    watched.view.making("u1", "mine")
    for number in range(100):
        watched.tell("ADDED", pod(f"e{number}", number + 1, f"n{number}"))
        watched.tell("ADDED", pod(f"x{number}", number + 1, "mine", namespace="evil"))
        bare = msgspec.structs.replace(pod().metadata, owner_references=[], labels={JOB_UID_LABEL: f"unknown{number}"})
        watched.tell("ADDED", Pod(bare))
    assert (watched.view.of("u1"), watched.view._unclaimed) == ({}, {})
    assert watched.view._owned["u1"].making == {"mine": None}
    assert len(watched.counts) == 300


def test_of_an_owner_that_is_known_otherwise_strangers_are_not_kept_apart() -> None:
    watched = Watched()
    watched.view = PodReflector(cast(Any, None), lambda uid, name: None, owner_of=lambda uid: OWNER)
    watched.view.ignored = lambda kind, reason: watched.counts.append(reason)
    seen: list[str] = []
    watched.view.on_unclaimed = lambda uid, item: seen.append(item.metadata.uid)
    watched.tell("ADDED", pod("e1", namespace="evil"), pod("p1", 2))
    assert (seen, watched.counts) == (["p1"], ["OtherNamespace"])
    watched.tell("DELETED", pod("p1", 3))
    assert not watched.view.knows("u1")


def test_what_was_being_made_when_its_owner_was_let_go_is_kept_apart(watched: Watched) -> None:
    watched.view.making("u1", "a")
    watched.tell("ADDED", pod("p1", 1))
    watched.view.release("u1")
    assert [item.metadata.uid for item in watched.view.unclaimed("u1")] == ["p1"]
