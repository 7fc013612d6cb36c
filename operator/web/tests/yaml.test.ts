import { CompletionContext } from "@codemirror/autocomplete";
import { EditorState } from "@codemirror/state";
import { expect, test } from "vitest";
import { complete } from "../src/components/completion";

const SCHEMA = {
  properties: {
    ops: {
      properties: {
        load: { properties: { config: { $ref: "#/$defs/load" } }, required: ["config"] },
        train: { properties: { config: { type: "object" } } },
      },
    },
  },
  $defs: {
    load: {
      properties: { day: { type: "string" }, region: { enum: ["eu", "us"], default: "eu" }, fast: { type: "boolean" } },
      required: ["day"],
    },
    loop: { $ref: "#/$defs/loop" },
  },
};

/** What is offered where the bar stands in the text. */
function offered(text: string, schema: Record<string, unknown> = SCHEMA): string[] {
  const at = text.indexOf("|");
  const state = EditorState.create({ doc: text.replace("|", "") });
  return (complete(new CompletionContext(state, at, true), schema)?.options ?? []).map((option) => option.label);
}

test("keys at their place, without those that stand there already", () => {
  expect(offered("|")).toEqual(["ops"]);
  expect(offered("ops:\n  |")).toEqual(["load", "train"]);
  expect(offered("ops:\n  load:\n    config: {}\n  |")).toEqual(["train"]);
  expect(offered("ops:\n  load:\n    config:\n      |\n      region: eu\n")).toEqual(["day", "fast"]);
});

test("values of a key", () => {
  expect(offered("ops:\n  load:\n    config:\n      region: |")).toEqual(["eu", "us"]);
  expect(offered("ops:\n  load:\n    config:\n      fast: |")).toEqual(["true", "false"]);
  expect(offered("ops:\n  load:\n    config:\n      day: |")).toEqual([]);
});

test("a schema that refers to itself comes to an end", () => {
  expect(offered("a: |", { properties: { a: { $ref: "#/$defs/loop" } }, $defs: { loop: { $ref: "#/$defs/loop" } } })).toEqual([]);
});
