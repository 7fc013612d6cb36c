import { expect, test } from "vitest";
import { barsOf, readyAt } from "../src/run/bars";
import { pod, step } from "./make";

const at = (second: number) => Date.parse(`2026-11-29T10:00:${String(second).padStart(2, "0")}Z`);
const text = (second: number) => new Date(at(second)).toISOString();
const kinds = (bars: ReturnType<typeof barsOf>) => bars.map((bar) => [bar.kind, (bar.from - at(0)) / 1000, (bar.to - at(0)) / 1000]);

test("a step is ready when the last of what it waits for is done", () => {
  const steps = { a: step({ completionTime: text(3) }), b: step({ completionTime: text(7) }), c: step({ takenFrom: "other" }) };
  expect(readyAt(["a", "b", "c"], steps, at(0))).toBe(at(7));
  expect(readyAt(["a", "d"], { ...steps, d: step({ state: "Running" }) }, at(0))).toBeNaN();
  expect(readyAt([], steps, at(1))).toBe(at(1));
});

test("a running step grows until now", () => {
  const bars = barsOf("a", step({ state: "Running", startTime: text(4) }), [], at(1), at(9));
  expect(kinds(bars)).toEqual([
    ["wait", 1, 4],
    ["run live", 4, 9],
  ]);
});

test("each earlier attempt has its bar, and each pod the time in which it was prepared", () => {
  const pods = [
    pod({ created: text(0), started: text(2), ended: text(5), reason: "Error" }),
    pod({ created: text(8), started: text(10), ended: text(12) }),
  ];
  const bars = barsOf("a", step({ attempt: 2, startTime: text(10), completionTime: text(12) }), pods, at(0), at(20));
  expect(kinds(bars)).toEqual([
    ["wait", 0, 2],
    ["retried", 2, 5],
    ["wait", 5, 10],
    ["run", 10, 12],
    ["prepare", 0, 2],
    ["prepare", 8, 10],
  ]);
});

test("a step that was taken from another run has no bars, one that has not started waits", () => {
  expect(barsOf("a", step({ takenFrom: "other", startTime: text(1) }), [], at(0), at(9))).toEqual([]);
  expect(kinds(barsOf("a", step({ state: "Pending" }), [], at(2), at(9)))).toEqual([["wait", 2, 9]]);
  expect(kinds(barsOf("a", step({ state: "Skipped" }), [], at(2), at(9)))).toEqual([]);
});
