import { expect, test } from "vitest";
import { age, ahead, bytes, duration, json } from "../src/format";
import { tickText, ticksOf } from "../src/run/axis";

test.each([
  [-5, "0.0s"],
  [1_234, "1.2s"],
  [60_000, "1m00s"],
  [90_000, "1m30s"],
  [3_660_000, "1h01m"],
])("%i ms last %s", (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

test("ages and times to come", () => {
  const now = Date.parse("2026-11-29T10:00:00Z");
  expect(
    ["2026-11-29T09:59:30Z", "2026-11-29T09:30:00Z", "2026-11-28T22:00:00Z", "2026-11-20T10:00:00Z"].map((time) => age(time, now)),
  ).toEqual(["30s", "30m", "12h", "9d"]);
  expect([ahead("2026-11-29T10:05:00Z", now), ahead("2026-11-29T09:00:00Z", now)]).toEqual(["in 5m", "due"]);
});

test("sizes", () => {
  expect([bytes(12), bytes(2_048), bytes(3_145_728)]).toEqual(["12 B", "2.0 KiB", "3.0 MiB"]);
});

test("JSON is indented unless that would change a number", () => {
  expect(json('{"a": 1}')).toBe('{\n  "a": 1\n}');
  expect(json("12345678901234567890")).toBe("12345678901234567890");
  expect(json("not json")).toBe("not json");
});

test("an axis has about six marks", () => {
  expect([ticksOf(600), ticksOf(60_000), ticksOf(864e5 * 60)]).toEqual([100, 10_000, 864e6]);
  expect([tickText(0), tickText(500), tickText(2_000)]).toEqual(["0s", "500ms", "2s"]);
});
