"""Which runs a list has, by the table that the page's own tests run too (operator/web/tests/query.test.ts)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from podgraph.server.run_list import _wanted
from podgraph.server.summaries import RunFilter
from podgraph.server.views import Summary

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("run_filter.json").read_text(encoding="utf-8"))


def asked(query: dict[str, Any]) -> RunFilter:
    """Return the filter for a query as the page's `searchOf` sends it."""
    given = {key: value for key, value in query.items() if key not in ("states", "tags")}
    return _wanted(state=",".join(query.get("states", [])), tag=query.get("tags"), **given)


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: json.dumps({**case["query"], **case.get("run", {})}))
def test_a_run_is_held_against_a_query(case: dict[str, Any]) -> None:
    run = cast(Summary, {**TABLE["run"], **case.get("run", {})})
    assert asked(case["query"]).takes(run) is case["matches"]
