"""What each source of a sensor sees."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.job_factory import second
from podgraph.scheduling.sensor import read_sensor
from podgraph.scheduling.sources import FunctionRef, HttpSource, JobSource, KubernetesSource, PythonSource, StoreSource


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
    with pytest.raises(DefinitionError, match="is not a valid path"):
        kubernetes(field={"path": "a..b"})


def test_the_text_of_a_source_tells_no_query() -> None:
    source = read_sensor(sensor({"http": {"url": "https://h/x?token=secret", "path": "a.b", "equals": "1"}})).source
    assert isinstance(source, HttpSource)
    assert source.text == "https://h/x a.b=1"
    assert read_sensor(sensor({"http": {"url": "https://h"}})).interval == 30
    assert read_sensor(sensor({"job": {"name": "j"}})).interval == 0


def test_an_object_store() -> None:
    store = {"url": "s3://b/in/", "secretRef": {"name": "s"}, "pattern": "*.csv", "image": "i"}
    read = read_sensor(sensor({"objectStore": store}))
    assert (read.interval, read.source.text) == (30, "s3://b/in *.csv")
    assert isinstance(read.source, StoreSource)
    assert (read.source.storage.secret, read.source.image) == ("s", "i")
    one, other = read.source.see("x.csv", "1"), read.source.see("x.csv", "2")
    assert (one.name, one.value) == ("x.csv", "s3://b/in/x.csv")
    assert one.key != other.key
    with pytest.raises(DefinitionError, match=r"spec\.source\.objectStore\.url is 'ftp://x'"):
        read_sensor(sensor({"objectStore": {"url": "ftp://x"}}))


def test_a_function() -> None:
    read = read_sensor(sensor({"python": {"definitionRef": {"name": "d"}, "function": "f", "timeoutSeconds": 5}}))
    assert read.source == PythonSource(FunctionRef("d", "f", 5))
    assert (read.source.text, read.interval) == ("sensor f of JobDefinition d", 30)
    alone = read_sensor(sensor({"python": {"definitionRef": {"name": "d"}}}, minimumIntervalSeconds=7))
    assert (alone.source.text, alone.interval) == ("sensor of JobDefinition d", 7)


@pytest.mark.parametrize(
    "status",
    ["x", 1, ["x"], {"conditions": "x"}, {"conditions": {"a": 1}}, {"conditions": ["x", 1, None, [], {}]},
     {"conditions": [{"type": ["Ready"], "status": {}}] * 10_000}],
)  # fmt: skip
def test_an_object_of_any_shape_has_no_condition(status: Any) -> None:
    source = kubernetes(condition={"type": "Ready", "status": "True"})
    assert source.see({"metadata": {"name": "t", "uid": "u"}, "status": status}) is None


@pytest.mark.parametrize("time", [None, 1, ["x"], {}, "x" * 100_000])
def test_a_condition_of_no_valid_time(time: Any) -> None:
    source = kubernetes(condition={"type": "Ready", "status": "True"})
    item = {"type": "Ready", "status": "True", "lastTransitionTime": time}
    seen = source.see({"metadata": {"name": "t", "uid": "u"}, "status": {"conditions": [item]}})
    assert seen is not None
    assert seen.time == ""


def test_of_a_long_value_little_is_kept() -> None:
    source = kubernetes(field={"path": "data"})
    one = source.see({"metadata": {"name": "t", "uid": "u"}, "data": ["x"] * 200_000})
    two = source.see({"metadata": {"name": "t", "uid": "u"}, "data": ["x"] * 200_001})
    assert one is not None
    assert two is not None
    assert one.key != two.key
    assert len(one.key) + len(one.value) < 5_000
