"""Times by name, against a plain dictionary."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.planning.steps.timers import Timers

steps = st.lists(
    st.tuples(st.sampled_from(["set", "clear", "pop"]), st.sampled_from("abc"), st.integers(0, 9)), max_size=30
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(steps)
def test_timers_are_a_dictionary_with_a_cheap_minimum(steps: list[tuple[str, str, int]]) -> None:
    timers, plain = Timers(), dict[str, float]()
    for what, name, time in steps:
        if what == "set":
            timers.set(name, time)
            plain[name] = time
        elif what == "clear":
            timers.clear(name)
            plain.pop(name, None)
        else:
            due = {name for name, at in plain.items() if at <= time}
            assert set(timers.pop_due(time)) == due
            plain = {name: at for name, at in plain.items() if name not in due}
        assert timers.next() == min(plain.values(), default=None)
