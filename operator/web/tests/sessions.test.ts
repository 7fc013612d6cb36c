import { expect, test } from "vitest";
import { adding, changing, closing, made, reopening, showing, titleOf, type Sessions } from "../src/launchpad/sessions";

const first = made("source", "");
const start: Sessions = { open: [first], active: first.id, closed: [] };

test("a link opens a tab once, in place of an untouched one", () => {
  const one = showing(start, "definition", "default/daily");
  expect(one.open.map(titleOf)).toEqual(["daily"]);
  expect(showing(one, "definition", "default/daily")).toEqual(one);
  const two = showing(one, "run", "default/daily-1");
  expect(two.open.map(titleOf)).toEqual(["daily", "daily-1"]);
});

test("a tab with something in it stays", () => {
  const touched = changing(start, first.id, { job: "mine" });
  expect(showing(touched, "definition", "default/daily").open.map(titleOf)).toEqual(["mine", "daily"]);
});

test("a closed tab comes back, and the last one is never closed for good", () => {
  const named = changing(start, first.id, { name: "all of it" });
  const closed = closing(named, first.id);
  expect(closed.open.map(titleOf)).toEqual(["Python file"]);
  expect(reopening(closed).open.map(titleOf)).toEqual(["Python file", "all of it"]);
  expect(reopening(start)).toBe(start);
});

test("tabs are bounded", () => {
  let sessions = start;
  for (let count = 0; count < 40; count++) sessions = adding(sessions, made("source", ""));
  expect(sessions.open).toHaveLength(20);
  for (const { id } of sessions.open) sessions = closing(sessions, id);
  expect(sessions.closed).toHaveLength(10);
});
