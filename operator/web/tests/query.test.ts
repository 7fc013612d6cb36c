import { expect, test } from "vitest";
import table from "../../../tests/web/run_filter.json";
import type { Summary } from "../src/api";
import { matches, searchOf, type RunQuery } from "../src/runs/query";
import { between, toggled } from "../src/runs/use-chosen";
import { summary } from "./make";

test("the address of a query has only what it asks for", () => {
  expect(searchOf({})).toBe("");
  expect(searchOf({ states: ["Failed", "Running"], text: " a b ", tags: ["x=1", "y"] })).toBe(
    "state=Failed%2CRunning&text=a+b&tag=x%3D1&tag=y",
  );
});

// The server's filter is held against the same table: tests/web/test_run_filter.py.
type Case = { query: RunQuery; run?: Partial<Summary>; matches: boolean };

test.each(table.cases as Case[])("a run is held against $query $run", ({ query, run, matches: matched }) => {
  expect(matches(summary({ ...(table.run as Partial<Summary>), ...run }), query)).toBe(matched);
});

const all = ["a", "b", "c", "d"].map((name) => summary({ name }));

test("a range goes both ways, and without a first end it is the run alone", () => {
  expect(between(all, "b", all[3]!).map((run) => run.name)).toEqual(["b", "c", "d"]);
  expect(between(all, "d", all[1]!).map((run) => run.name)).toEqual(["b", "c", "d"]);
  expect(between(all, "gone", all[2]!).map((run) => run.name)).toEqual(["c"]);
});

test("a range is chosen, or no longer, as the run that was clicked", () => {
  expect([...toggled(new Set(["b"]), "c", all.slice(1, 3))]).toEqual(["b", "c"]);
  expect([...toggled(new Set(["a", "b", "c"]), "c", all.slice(1, 3))]).toEqual(["a"]);
});
