"""Results that arrive by the log of a pod."""

from __future__ import annotations

from builders import SETTINGS
from podgraph.planning.actions import Actions
from podgraph.planning.executors.log_results import LogResults
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.shell_runner import END_MARK, OUTPUT_MARK
from podgraph.planning.model.spec import ContainerSpec
from podgraph.protocol.step import Record


def factory() -> PodFactory:
    made = PodFactory(JobRef("j", "default", "u1"), SETTINGS, None)
    made.containers = {"script": ContainerSpec("busybox:1", script="true")}
    return made


def test_a_log_is_requested_once_and_left_once_it_is_followed() -> None:
    results, actions = LogResults(factory()), Actions()
    results.leave("p", actions)
    results.follow("p", actions)
    results.follow("p", actions)
    assert (actions.follow, actions.leave) == (["p"], [])
    results.leave("p", actions)
    assert actions.leave == ["p"]


def test_the_lines_of_a_script_make_its_result_when_all_are_there() -> None:
    maker = factory()
    results, token = LogResults(maker), maker.token_of("script", 1)
    assert not results.take_lines("p", "script", 1, [f"{OUTPUT_MARK}{token}::a=1"])
    assert results.take_results() == {}
    assert results.take_lines("p", "script", 1, [f"{END_MARK}{token}::1"])
    assert results.take_results() == {"p": "a=1"}
    assert results.take_results() == {}


def test_the_record_of_a_python_op_counts_for_its_own_attempt_alone() -> None:
    maker = factory()
    results, signer = LogResults(maker), maker.signer_of("op", 1)
    line = Record(signer.nonce, "Succeeded").to_line(signer.key)
    assert not results.take_lines("p", "op", 2, [line])
    assert results.take_lines("p", "op", 1, ["noise", line])
    assert Record.from_text(results.take_results()["p"]).outcome == "Succeeded"
