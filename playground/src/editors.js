// The editors of the page.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { complete } from "./completion.js";

// The colours are those of the page, for light and dark.
const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--key)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--literal)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
  { tag: [tags.separator, tags.squareBracket, tags.brace, tags.punctuation, tags.meta], color: "var(--quiet)" },
]);

const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--field)", fontSize: "13px", maxHeight: "var(--editor-height)" },
  // The page marks the editor that has the focus.
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--field)", color: "var(--quiet)", border: "none" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "none" },
  "&:not(.cm-focused) .cm-matchingBracket": { backgroundColor: "transparent" },
  ".cm-placeholder": { color: "var(--quiet)" },
  ".cm-tooltip": { color: "var(--text)", backgroundColor: "var(--panel)", border: "1px solid var(--line)", maxWidth: "min(32rem, 90vw)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { color: "var(--on-accent)", backgroundColor: "var(--accent)" },
  ".cm-completionInfo": { padding: "6px 10px", fontFamily: "var(--sans)" },
  // A phone has no room for it beside the keys.
  "@media (max-width: 860px)": { ".cm-completionInfo": { display: "none" } },
  ".cm-specialChar": { color: "var(--bad)" },
});

/** Where the page keeps an editor: in a shadow root, since an editor brings styles of its own. */
function mount(host, label, extensions, changed) {
  const root = host.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      extensions: [
        lineNumbers(),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        syntaxHighlighting(colours),
        theme,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((update) => update.docChanged && changed()),
        // The Tab key moves on in the page, so that a keyboard can leave the editor.
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap]),
        ...extensions,
      ],
    }),
  });
  return view;
}

/** An editor of a policy. */
export function policyEditor(host, changed) {
  return mount(host, "Policy, in YAML", [yaml(), lintGutter(), autocompletion({ override: [complete] })], changed);
}

/** An editor of a JSON text. */
export function jsonEditor(host, label, hint, changed) {
  return mount(host, label, [json(), placeholder(hint)], changed);
}

/** The text of an editor. */
export const text = (view) => view.state.doc.toString();

/** Replaces the text of an editor. */
export function replace(view, to) {
  if (text(view) !== to) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: to }, selection: { anchor: 0 } });
}

/** Marks mistakes and warnings, each with its line and column. */
export function mark(view, findings) {
  const diagnostics = findings.map(({ line, column, message, severity }) => {
    const { from, to } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
    const start = Math.min(from + column - 1, to);
    const rest = view.state.sliceDoc(start, to);
    const word = /^[^\s:,{}[\]]+/.exec(rest)?.[0] ?? rest;
    return { from: start, to: Math.min(start + word.length, to), severity, message };
  });
  diagnostics.sort((one, other) => one.from - other.from);
  view.dispatch(setDiagnostics(view.state, diagnostics));
}

/** Moves the cursor to a place. */
export function show(view, { line, column }) {
  const { from, to } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
  view.dispatch({ selection: { anchor: Math.min(from + column - 1, to) }, scrollIntoView: true });
  view.focus();
}
