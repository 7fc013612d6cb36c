// What may stand at a place in run config, by the job's JSON Schema.
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import type { JsonSchema } from "../api";

type Schema = JsonSchema & {
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  allOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  type?: string | string[];
  items?: Schema;
  description?: string;
  default?: unknown;
  additionalProperties?: Schema | boolean;
  $ref?: string;
};

function branches(schema: Schema | undefined, root: Schema, depth = 0): Schema[] {
  if (!schema || typeof schema !== "object" || depth > 20) return [];
  if (schema.$ref?.startsWith("#/")) {
    let found: unknown = root;
    for (const part of schema.$ref.slice(2).split("/"))
      found = (found as Record<string, unknown> | undefined)?.[part.replace(/~1/g, "/").replace(/~0/g, "~")];
    return branches(found as Schema, root, depth + 1);
  }
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [schema, ...inner.flatMap((item) => branches(item, root, depth + 1))];
}

function below(schemas: Schema[], key: string, root: Schema): Schema[] {
  return schemas.flatMap((schema) => {
    if (key === "-") return branches(schema.items, root);
    const inner = schema.properties?.[key] ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
    return branches(inner, root);
  });
}

const LINE = /^(\s*)(- )?(?:"([^"]*)"|'([^']*)'|([^\s#'"][^:]*?)):(?:\s|$)/;

/** The keys above a line with this indentation, and the keys that stand beside it. */
function around(lines: string[], at: number, indent: number): { path: string[]; beside: Set<string> } {
  const path: string[] = [];
  const beside = new Set<string>();
  const keyed = lines.map((line) => LINE.exec(line));
  const keyOf = (found: RegExpExecArray) => found[3] ?? found[4] ?? found[5] ?? "";
  let level = indent;
  for (let row = at - 1; row >= 0; row--) {
    const found = keyed[row];
    if (!found) continue;
    const here = found[1]!.length + (found[2]?.length ?? 0);
    if (here === indent && level === indent) beside.add(keyOf(found));
    if (here < level) {
      path.unshift(keyOf(found));
      level = found[1]!.length;
    }
  }
  for (let row = at + 1; row < lines.length; row++) {
    const found = keyed[row];
    if (!found) continue;
    const here = found[1]!.length;
    if (here < indent) break;
    if (here === indent) beside.add(keyOf(found));
  }
  return { path, beside };
}

const typeOf = (schemas: Schema[]) => [...new Set(schemas.flatMap((item) => item.type ?? []))].join(" | ");
const textOf = (value: unknown) => (typeof value === "string" && /^[A-Za-z_][\w./-]*$/.test(value) ? value : JSON.stringify(value));

export function complete(context: CompletionContext, root: JsonSchema | null): CompletionResult | null {
  if (!root) return null;
  const whole = root as Schema;
  const text = context.state.doc.toString();
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const lines = text.split("\n");
  const value = /^(\s*(?:- )?)([^\s:#]+):\s+(\S*)$/.exec(before);
  if (value) {
    const { path } = around(lines, line.number - 1, value[1]!.length);
    const schemas = [...path, value[2]!].reduce((found, key) => below(found, key, whole), branches(whole, whole));
    const options = values(schemas);
    return options.length ? { from: context.pos - value[3]!.length, options } : null;
  }
  const key = /^(\s*(?:- )?)([\w.-]*)$/.exec(before);
  if (!key || (!context.explicit && !key[2])) return null;
  const { path, beside } = around(lines, line.number - 1, key[1]!.length);
  const schemas = path.reduce((found, name) => below(found, name, whole), branches(whole, whole));
  const options: Completion[] = [];
  for (const schema of schemas)
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      if (beside.has(name) || options.some((option) => option.label === name)) continue;
      const found = branches(inner, whole);
      const isObject = found.some((item) => item.properties);
      const fallback = found.find((item) => item.default !== undefined)?.default;
      options.push({
        label: name,
        type: isObject ? "namespace" : "property",
        detail: typeOf(found) + (schema.required?.includes(name) ? " · required" : ""),
        info: [inner.description, fallback !== undefined && `default: ${JSON.stringify(fallback)}`].filter(Boolean).join("\n") || undefined,
        apply: isObject ? `${name}:\n${" ".repeat(key[1]!.length + 2)}` : `${name}: `,
        boost: schema.required?.includes(name) ? 1 : 0,
      });
    }
  return options.length ? { from: context.pos - key[2]!.length, options } : null;
}

function values(schemas: Schema[]): Completion[] {
  const found = new Map<string, Completion>();
  for (const schema of schemas) {
    for (const item of schema.enum ?? []) found.set(textOf(item), { label: textOf(item), type: "enum" });
    if (schema.type === "boolean") for (const item of ["true", "false"]) found.set(item, { label: item, type: "keyword" });
    if (schema.default !== undefined)
      found.set(textOf(schema.default), { label: textOf(schema.default), detail: "default", type: "constant" });
  }
  return [...found.values()];
}
