import { expect, test } from "vitest";
import { rowsOf } from "../src/runs/lanes";
import { maker, summary } from "./make";

const now = Date.parse("2026-11-29T12:00:00Z");
const span = { from: now - 7_200_000, now, end: now + 3_600_000 };
const ran = (name: string, from: string, to: string | null, definition = "job") =>
  summary({ name, definition, start: `2026-11-29T${from}:00Z`, completion: to && `2026-11-29T${to}:00Z`, finished: !!to });

test("runs beside each other have lanes of their own, and a lane is used again", () => {
  const [row] = rowsOf([ran("a", "11:00", "11:30"), ran("b", "11:10", "11:20"), ran("c", "11:25", null)], [], span);
  expect(row!.bars.map((bar) => [bar.run.name, bar.lane])).toEqual([
    ["a", 0],
    ["b", 1],
    ["c", 1],
  ]);
  expect(row!.lanes).toBe(2);
});

test("lanes are bounded", () => {
  const runs = Array.from({ length: 50 }, (_, at) => ran(`r${at}`, "11:00", null));
  expect(rowsOf(runs, [], span)[0]!.lanes).toBe(6);
});

test("what ended before the span is left out, and the job that ran last comes first", () => {
  const rows = rowsOf(
    [ran("old", "09:00", "09:10", "gone"), ran("a", "11:00", "11:01", "one"), ran("b", "11:00", "11:05", "two")],
    [],
    span,
  );
  expect(rows.map((row) => row.name)).toEqual(["two", "one"]);
});

test("a schedule stands in its job's row when its next tick is in sight", () => {
  const makers = [
    maker({ nextTick: "2026-11-29T12:30:00Z" }),
    maker({ name: "late", nextTick: "2026-11-29T20:00:00Z" }),
    maker({ name: "off", nextTick: "2026-11-29T12:30:00Z", suspended: true }),
  ];
  expect(rowsOf([], makers, span).map((row) => [row.name, row.next.map((item) => item.name)])).toEqual([["job", ["nightly"]]]);
});
