"""A run's family: the run that was first, its reruns, and theirs."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from podgraph.server.lineage import family_of
from podgraph.server.summaries import JobItem
from web.browser import Visit
from web.serving import Beside, Served, asked


def job(name: str, of: str = "", uid: str = "") -> JobItem:
    ref = {"rerunOf": {"name": of, "uid": uid}} if of else {}
    meta = {"name": name, "uid": f"uid-{name}", "creationTimestamp": f"2026-01-01T00:00:{ord(name[0]) - 97:02}Z"}
    return msgspec.convert({"metadata": meta, "spec": ref}, JobItem)


def names(name: str, *jobs: JobItem) -> str:
    return " ".join(found.metadata.name for found in family_of(name, jobs))


@pytest.mark.parametrize("of", ["a", "b", "c", "d"])
def test_it_is_the_same_for_each_of_its_runs(of: str) -> None:
    assert names(of, job("d", "b"), job("x"), job("c", "a"), job("b", "a"), job("a"), job("y", "x")) == "a b c d"


def test_a_parent_that_is_gone_or_another_one_is_not_in_it() -> None:
    assert names("b", job("b", "gone"), job("c", "b")) == "b c"
    assert names("b", job("a"), job("b", "a", "uid-of-one-before")) == "b"
    assert names("b", job("a"), job("b", "a", "uid-a")) == "a b"
    assert names("gone", job("a")) == ""


def test_runs_that_name_each_other_end() -> None:
    assert names("a", job("a", "c"), job("b", "a"), job("c", "b")) == "a b c"
    assert names("a", job("a", "a")) == "a"


@given(st.lists(st.integers(-1, 30), min_size=1, max_size=30), st.integers(0, 29))
def test_each_run_is_in_one_family(parents: list[int], at: int) -> None:
    letters = [chr(97 + n) for n in range(len(parents))]
    jobs = [job(name, chr(97 + up) if up >= 0 else "") for name, up in zip(letters, parents, strict=True)]
    found = [run.metadata.name for run in family_of(letters[at % len(letters)], jobs)]
    assert letters[at % len(letters)] in found
    up = {j.metadata.name: j.spec.rerun_of.name for j in jobs if j.spec.rerun_of and j.spec.rerun_of.name in letters}
    for name in letters:
        if name in found:
            assert up.get(name, name) in found
        else:
            assert up.get(name) not in found


async def test_it_is_told_within_the_runs_namespace(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("first", "Failed")
    served.job("again", rerunOf={"name": "first"})
    served.job("again", namespace="other", rerunOf={"name": "first"})
    await served.fake.until(lambda: len(served.state.jobs.items) == 3)
    for of in ("first", "again"):
        status, told = await asked(http, f"/api/runs/default/{of}/family")
        assert (status, [(run["name"], run["state"]) for run in told["runs"]]) == (
            200,
            [("first", "Failed"), ("again", "Succeeded")],
        )
    assert (await asked(http, "/api/runs/other/again/family"))[1]["runs"][0]["namespace"] == "other"
    assert (await asked(http, "/api/runs/default/nope/family"))[1] == {"runs": []}


@pytest.mark.browser
def test_from_a_run_to_its_rerun_and_back(visit: Visit, server: Beside) -> None:
    page = visit.page

    def make(served: Served) -> Any:
        served.job("first", "Failed")
        served.job("again", rerunOf={"name": "first"})

    server.do(make)
    visit.go("/runs/default/first")
    page.get_by_role("tab", name="Reruns (2)").click()
    family = page.get_by_role("list", name="Runs of this family")
    expect(family.locator("[aria-current]")).to_contain_text("first")
    family.get_by_role("link", name="again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("again")
    page.get_by_role("tab", name="Reruns (2)").click()
    expect(family.locator("[aria-current]")).to_contain_text("again")
    server.do(lambda served: served.fake.delete("jobs", "default", "first"))
    expect(page.get_by_role("tab", name="Reruns")).to_have_count(0)
    expect(page.get_by_label("run config", exact=True)).to_be_visible()
