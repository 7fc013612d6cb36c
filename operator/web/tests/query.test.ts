import { expect, test } from "vitest";
import { matches, searchOf, type RunQuery } from "../src/runs/query";
import { between, toggled } from "../src/runs/use-chosen";
import { summary } from "./make";

test("the address of a query has only what it asks for", () => {
  expect(searchOf({})).toBe("");
  expect(searchOf({ states: ["Failed", "Running"], text: " a b ", tags: ["x=1", "y"] })).toBe(
    "state=Failed%2CRunning&text=a+b&tag=x%3D1&tag=y",
  );
});

const found = summary({
  name: "daily-1",
  definition: "daily",
  state: "Failed",
  finished: true,
  completion: "2026-11-29T10:10:00Z",
  maker: "schedules/nightly",
  tags: { team: "data" },
});

test.each<[RunQuery, boolean]>([
  [{}, true],
  [{ states: [] }, true],
  [{ states: ["Running"] }, false],
  [{ states: ["Failed"], namespace: "default", definition: "daily", maker: "schedules/nightly" }, true],
  [{ namespace: "other" }, false],
  [{ definition: "weekly" }, false],
  [{ maker: "sensors/nightly" }, false],
  [{ tags: ["team"] }, true],
  [{ tags: ["team=data"] }, true],
  [{ tags: ["team=ops"] }, false],
  [{ tags: ["team", "day"] }, false],
  [{ text: " TEAM=DATA " }, true],
  [{ text: "weekly" }, false],
  [{ since: "2026-11-29T09:00:00Z" }, true],
  [{ since: "2026-11-29T11:00:00Z" }, false],
  [{ alive: "2026-11-29T10:05:00Z" }, true],
  [{ alive: "2026-11-29T10:11:00Z" }, false],
])("a run is held against %j", (query, matched) => {
  expect(matches(found, query)).toBe(matched);
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
