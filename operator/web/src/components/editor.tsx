// A text editor for run config and Python: CodeMirror, with the server's word on what is wrong.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import type { JsonSchema, Problem } from "../api";
import { nonce } from "../nonce";
import { complete } from "./completion";

const highlight = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName))], color: "var(--code-key)" },
  { tag: tags.meta, color: "var(--code-keyword)" },
]);

type Props = {
  value: string;
  onChange: (text: string) => void;
  language: "yaml" | "python";
  label: string;
  problems?: Problem[];
  schema?: JsonSchema | null;
  goTo?: { at: number; count: number };
};

export default function Editor({ value, onChange, language, label, problems, schema, goTo }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const known = useRef({ schema: schema ?? null, onChange });
  const dark = useComputedColorScheme("light") === "dark";
  const look = useRef(new Compartment());
  useEffect(() => {
    known.current = { schema: schema ?? null, onChange };
  });

  useEffect(() => {
    const made = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          EditorView.cspNonce.of(nonce),
          lineNumbers(),
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of(language === "yaml" ? "  " : "    "),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          highlightSelectionMatches(),
          syntaxHighlighting(highlight),
          language === "yaml" ? yaml() : python(),
          language === "yaml" ? [lintGutter(), autocompletion({ override: [(context) => complete(context, known.current.schema)] })] : [],
          // Escape and then Tab leaves the editor, as its own help says.
          keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
            indentWithTab,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) known.current.onChange(update.state.doc.toString());
          }),
          EditorView.contentAttributes.of({ "aria-label": label }),
          look.current.of(EditorView.theme({}, { dark: false })),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
    // The text is the editor's own from here on; see the next effect for what others write into it.
    // eslint-disable-next-line
  }, [language, label]);

  useEffect(() => {
    const made = view.current;
    if (made && made.state.doc.toString() !== value) made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    view.current?.dispatch({ effects: look.current.reconfigure(EditorView.theme({}, { dark })) });
  }, [dark]);

  useEffect(() => {
    const made = view.current;
    if (!made) return;
    const most = made.state.doc.length;
    made.dispatch(
      setDiagnostics(
        made.state,
        (problems ?? []).map((problem) => ({
          from: Math.min(problem.from, most),
          to: Math.min(Math.max(problem.to, problem.from), most),
          severity: "error",
          message: problem.message,
        })),
      ),
    );
  }, [problems]);

  useEffect(() => {
    const made = view.current;
    if (!made || !goTo?.count) return;
    const at = Math.min(goTo.at, made.state.doc.length);
    made.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    made.focus();
  }, [goTo]);

  return <div ref={host} className="editor" data-testid={`editor-${language}`} />;
}
