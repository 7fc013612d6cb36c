import { expect, test } from "vitest";
import { eventsOf, LEVELS, matching } from "../src/run/events";
import { event, pod, run, step } from "./make";

const ALL = new Set(LEVELS);

test("an event belongs to the step that its data names, whatever its message says", () => {
  const events = [event({ op: "load", message: "op 'other' failed: E: x" }), event({ message: "step 'load' failed" })];
  expect(eventsOf(run(), {}, {}, events).map((found) => found.step)).toEqual(["load", ""]);
});

test("events of steps, pods, conditions and the cluster are in the order of their times", () => {
  const steps = {
    load: step({ state: "Failed", startTime: "2026-11-29T10:00:02Z", completionTime: "2026-11-29T10:00:04Z", message: "no room" }),
  };
  const pods = { load: [pod({ started: "2026-11-29T10:00:01Z", ended: "2026-11-29T10:00:04Z", exitCode: 1, reason: "Error" })] };
  const conditions = [{ type: "Succeeded", status: "False", reason: "Failed", message: "m", lastTransitionTime: "2026-11-29T10:00:09Z" }];
  const found = eventsOf(run({ start: "2026-11-29T09:59:59Z", finished: true, state: "Failed" }, conditions), steps, pods, [
    event({ op: "load" }),
  ]);
  expect(found.map((item) => [item.type, item.level])).toEqual([
    ["RunStarted", "info"],
    ["PodCreated", "debug"],
    ["PodStarted", "debug"],
    ["StepStarted", "info"],
    ["PodFailed", "warning"],
    ["StepFailed", "error"],
    ["StepFailed", "warning"],
    ["RunFailed", "error"],
  ]);
});

test("a step that is to run again is a warning", () => {
  const steps = { load: step({ state: "UpForRetry", completionTime: "2026-11-29T10:00:04Z", message: "refused" }) };
  expect(eventsOf(run(), steps, {}, [])).toMatchObject([{ type: "StepUpForRetry", level: "warning", message: "refused" }]);
});

test.each([
  ["", 3],
  ["step:load", 2],
  ["step:load type:retried", 1],
  ["TYPE:FAILED", 1],
  ["memory", 1],
  ["step:load nothing", 0],
])("the filter %j finds %i events", (text, count) => {
  const events = eventsOf(run(), {}, {}, [
    event({ op: "load", reason: "StepFailed", message: "MemoryError" }),
    event({ op: "load", reason: "StepRetried" }),
    event({ type: "Normal", reason: "Accepted" }),
  ]);
  expect(matching(events, text, ALL)).toHaveLength(count);
});

test("only events of the levels that are wanted are found", () => {
  const events = eventsOf(run(), {}, {}, [event(), event({ type: "Normal" })]);
  expect(matching(events, "", new Set(["info"] as const)).map((item) => item.level)).toEqual(["info"]);
});
