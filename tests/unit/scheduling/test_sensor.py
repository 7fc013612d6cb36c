"""What a sensor sees, and what of that is new."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cursor import Cursor, key_digest
from podgraph.scheduling.making import second
from podgraph.scheduling.sensor import job_of_seen, read_sensor
from podgraph.scheduling.sources import HttpSource, JobSource, KubernetesSource, Seen


def sensor(source: dict[str, Any], **spec: Any) -> dict[str, Any]:
    meta = {"name": "watcher", "namespace": "n", "uid": "u"}
    spec = {"jobTemplate": {"spec": {"ops": []}}, **spec, "source": source}
    return {"kind": "JobSensor", "metadata": meta, "spec": spec}


@pytest.mark.parametrize(
    ("outcome", "succeeded", "counts"),
    [("Succeeded", True, True), ("Succeeded", False, False), ("Failed", False, True), ("Failed", True, False),
     ("Finished", True, True), ("Finished", False, True)],
)  # fmt: skip
def test_which_ends_of_jobs_count(outcome: str, succeeded: bool, counts: bool) -> None:
    assert JobSource("a", {}, outcome).counts("a", {}, succeeded) is counts
    assert JobSource("a", {}, outcome).counts("b", {}, succeeded) is False
    labelled = JobSource("", {"x": "1"}, outcome)
    assert labelled.counts("b", {"x": "1", "y": "2"}, succeeded) is counts
    assert labelled.counts("b", {"x": "2"}, succeeded) is False


def kubernetes(**what: Any) -> KubernetesSource:
    read = read_sensor(sensor({"kubernetes": {"apiVersion": "v1", "resource": "things", "name": "t", **what}}))
    assert isinstance(read.source, KubernetesSource)
    return read.source


def test_a_condition_is_seen_each_time_it_comes() -> None:
    source = kubernetes(condition={"type": "Ready"})
    found: dict[str, Any] = {"metadata": {"uid": "1", "name": "t"}}
    assert source.see(found) is None
    found["status"] = {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": second(0)}]}
    assert source.see(found) is None
    keys = []
    for time in (second(10), second(20), "garbage"):
        found["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": time}]
        seen = source.see(found)
        assert seen is not None
        keys.append((seen.key, seen.time))
    assert [time for _, time in keys] == [second(10), second(20), ""]
    assert len({key for key, _ in keys}) == 3


def test_a_field() -> None:
    found = {"metadata": {"uid": "1", "name": "t"}, "data": {"version": 2}}
    seen = kubernetes(field={"path": "data.version"}).see(found)
    assert seen is not None
    assert (seen.name, seen.value, seen.time) == ("t", "2", "")
    assert kubernetes(field={"path": "data.version", "equals": "2"}).see(found) is not None
    assert kubernetes(field={"path": "data.version", "equals": "3"}).see(found) is None
    assert kubernetes(field={"path": "data.other"}).see(found) is None
    with pytest.raises(DefinitionError, match="is no path"):
        kubernetes(field={"path": "a..b"})


def test_what_is_dealt_with_is_not_seen_again() -> None:
    cursor = Cursor(time=second(100))
    seen = [Seen("old", "a", "v", second(100)), Seen("b", "b", "v", second(300)), Seen("a", "a", "v", second(200))]
    assert [s.key for s in cursor.fresh(seen)] == ["a", "b"]
    cursor.take(seen[2])
    again = Cursor.from_status(cursor.to_status())
    assert [s.key for s in again.fresh(seen)] == ["b"]


def test_few_keys_are_kept_and_nothing_is_seen_twice() -> None:
    cursor = Cursor(time=second(0))
    seen = [Seen(str(at), "j", "v", second(at)) for at in range(1, 501)]
    for item in cursor.fresh(seen):
        cursor.take(item)
    cursor.prune(seen)
    assert len(cursor.keys) == 200
    assert cursor.fresh(seen) == []
    assert [s.key for s in cursor.fresh([*seen, Seen("x", "j", "v", second(501))])] == ["x"]


def test_what_is_still_so_keeps_its_key() -> None:
    cursor = Cursor()
    live = [Seen(f"live{at}", "o", "v") for at in range(100)]
    for item in [*live, *(Seen(f"gone{at}", "o", "v") for at in range(400))]:
        cursor.take(item)
    cursor.prune(live)
    assert cursor.fresh(live) == []
    assert len(cursor.keys) == 300


def test_what_was_so_before_makes_no_job() -> None:
    cursor, field = Cursor(time=second(100)), Seen("f", "o", "v")
    cursor.begin([field, Seen("c", "o", "v", second(200))], is_http=False)
    assert [s.key for s in cursor.fresh([field, Seen("c", "o", "v", second(200))])] == ["c"]
    assert cursor.begun


@pytest.mark.parametrize(
    ("equals", "fires"),
    [(None, [False, True, True, False, True, True]), ("b", [False, True, False, False, False, True])],
)
def test_changes_of_a_web_page(equals: str | None, fires: list[bool]) -> None:
    cursor = Cursor()
    cursor.begin([Seen("a", "h", "a")], is_http=True)
    names = []
    for value, expected in zip(["a", "b", "c", "c", "a", "b"], fires, strict=True):
        seen = [Seen(value, "h", value)]
        new = cursor.turn(seen, equals)
        assert (new is not None) is expected, value
        if new is not None:
            names.append(job_of_seen(sensor({}), new, 0)["metadata"]["name"])
        cursor.turned(seen, made=new is not None)
    assert len(set(names)) == sum(fires)


def test_a_web_page_that_is_not_there_and_comes_back() -> None:
    cursor = Cursor()
    cursor.begin([], is_http=True)
    assert cursor.turn([], None) is None
    assert cursor.turn([Seen("a", "h", "a")], None) is not None


def test_the_job_of_what_was_seen() -> None:
    template = {"spec": {"runConfig": {"who": "{{ source.name }}={{ source.value }}", "k": "{{ source.key }}"}}}
    made = sensor({}, jobTemplate=template)
    job = job_of_seen(made, Seen("k", "cm", "v2"), 0)
    assert job["spec"]["runConfig"] == {"who": "cm=v2", "k": key_digest("k")}
    assert job["metadata"]["labels"] == {"podgraph.dev/sensor": "watcher"}
    assert job["metadata"]["name"] == job_of_seen(made, Seen("k", "cm", "v3"), 99)["metadata"]["name"]
    assert job["metadata"]["name"] != job_of_seen(made, Seen("l", "cm", "v2"), 0)["metadata"]["name"]
    with pytest.raises(DefinitionError, match="larger than 65,536 bytes"):
        job_of_seen(made, Seen("k", "cm", "ü" * 40_000), 0)


def test_the_text_of_a_source_tells_no_query() -> None:
    source = read_sensor(sensor({"http": {"url": "https://h/x?token=secret", "path": "a.b", "equals": "1"}})).source
    assert isinstance(source, HttpSource)
    assert source.text == "https://h/x a.b=1"
    assert read_sensor(sensor({"http": {"url": "https://h"}})).interval == 30
    assert read_sensor(sensor({"job": {"name": "j"}})).interval == 0
