"""The Jobs of a sensor."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cursor import key_digest
from podgraph.scheduling.job_factory import Request
from podgraph.scheduling.sensor import job_of_request, job_of_seen
from podgraph.scheduling.sources import Observation


def sensor(source: dict[str, Any], **spec: Any) -> dict[str, Any]:
    meta = {"name": "watcher", "namespace": "n", "uid": "u"}
    spec = {"jobTemplate": {"spec": {"ops": []}}, **spec, "source": source}
    return {"kind": "JobSensor", "metadata": meta, "spec": spec}


def test_the_job_of_what_was_seen() -> None:
    template = {"spec": {"runConfig": {"who": "{{ source.name }}={{ source.value }}", "k": "{{ source.key }}"}}}
    made = sensor({}, jobTemplate=template)
    job = job_of_seen(made, Observation("k", "cm", "v2"), 0)
    assert job["spec"]["runConfig"] == {"who": "cm=v2", "k": key_digest("k")}
    assert job["metadata"]["labels"] == {"podgraph.dev/sensor": "watcher"}
    assert job["metadata"]["name"] == job_of_seen(made, Observation("k", "cm", "v3"), 99)["metadata"]["name"]
    assert job["metadata"]["name"] != job_of_seen(made, Observation("l", "cm", "v2"), 0)["metadata"]["name"]
    with pytest.raises(DefinitionError, match="larger than 65,536 bytes"):
        job_of_seen(made, Observation("k", "cm", "ü" * 40_000), 0)


def python(**spec: Any) -> dict[str, Any]:
    meta = {"name": "watcher", "namespace": "n", "uid": "u"}
    source = {"python": {"definitionRef": {"name": "d"}}}
    return {"kind": "JobSensor", "metadata": meta, "spec": {"source": source, **spec}}


def test_what_a_function_asks_for_is_laid_over_the_template() -> None:
    request = Request.of({"run_key": "k", "run_config": {"a": {"y": 2}}, "op_selection": ["*x"], "tags": {"t": "2"}})
    assert job_of_request(python(), request, "0/0", 0)["spec"] == {
        "definitionRef": {"name": "d"},
        "runConfig": {"a": {"y": 2}},
        "opSelection": ["*x"],
        "tags": {"t": "2"},
    }
    spec = {"ops": [], "runConfig": {"a": {"x": 1, "y": 1, "who": "{{ source.value }}"}}, "tags": {"s": "1", "t": "1"}}
    job = job_of_request(python(jobTemplate={"spec": spec}), request, "0/0", 0)
    assert job["spec"] == {
        "ops": [], "runConfig": {"a": {"x": 1, "y": 2, "who": "k"}}, "opSelection": ["*x"], "tags": {"s": "1", "t": "2"}
    }  # fmt: skip
    assert job["metadata"]["annotations"]["podgraph.dev/run-key"] == "k"


def test_the_name_follows_from_the_run_key_or_else_from_all_that_is_asked_for() -> None:
    def name(request: Request, unique: str = "0/0") -> str:
        return str(job_of_request(python(), request, unique, 0)["metadata"]["name"])

    assert name(Request("k")) == name(Request("k", tags={"t": "1"}), "1/1")
    assert name(Request("k")) != name(Request("l"))
    assert name(Request()) == name(Request())
    assert len({name(Request()), name(Request(), "1/0"), name(Request(tags={"t": "1"}))}) == 3


@pytest.mark.parametrize("data", [{"run_key": 1}, {"run_config": []}, {"tags": "x"}, {"job": "x"}])
def test_what_is_no_request(data: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="its pod returned an invalid run request"):
        Request.of(data)
