// Completion of a policy from its JSON Schema.

import { syntaxTree } from "@codemirror/language";
import schema from "embedded:schema";

/** Completes keys and fixed values at the cursor. */
export function complete(context) {
  const word = context.matchBefore(/[\w.-]*/);
  const place = placeAt(context.state, word ? word.from : context.pos);
  if (!place || (word && word.from === word.to && !context.explicit)) return null;
  const here = place.path.reduce((schemas, key) => schemas.flatMap((each) => children(each, key)), [schema]);
  const options = place.isValue ? values(here) : keys(here, place.taken);
  return options.length ? { from: word ? word.from : context.pos, options, validFor: /^[\w.-]*$/ } : null;
}

/** The alternatives of a schema, without references. */
function alternatives(node, depth = 8) {
  if (!node || typeof node !== "object" || depth === 0) return [];
  if (node.$ref) {
    const target = schema.$defs[node.$ref.replace("#/$defs/", "")];
    return alternatives(target, depth - 1).map((each) => ({ ...each, description: node.description ?? each.description }));
  }
  const nested = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? []), node.then, node.else];
  return [node, ...nested.flatMap((each) => alternatives(each, depth - 1))];
}

/** The schemas of a key, or of the items of a list (`null`). */
function children(node, key) {
  return alternatives(node).flatMap((each) => {
    if (key === null) return each.items ? [each.items] : [];
    if (each.properties && Object.hasOwn(each.properties, key)) return [each.properties[key]];
    return each.additionalProperties && typeof each.additionalProperties === "object" ? [each.additionalProperties] : [];
  });
}

function keys(schemas, taken) {
  const found = new Map();
  for (const each of schemas.flatMap((node) => alternatives(node))) {
    for (const [name, property] of Object.entries(each.properties ?? {})) {
      if (taken.has(name) || found.has(name)) continue;
      const [description] = alternatives(property).map((one) => one.description).filter(Boolean);
      found.set(name, { label: name, apply: `${name}: `, type: "property", info: property.description ?? description });
    }
  }
  return [...found.values()];
}

function values(schemas) {
  const found = new Map();
  const add = (value, info) => found.set(String(value), { label: String(value), type: "enum", info });
  for (const each of schemas.flatMap((node) => alternatives(node))) {
    for (const value of each.enum ?? []) add(value, each.description);
    if (each.const !== undefined) add(each.const, each.description);
    if (each.type === "boolean") [true, false].forEach((value) => add(value, each.description));
  }
  return [...found.values()].filter((option) => option.label !== "null");
}

/**
 * Where a position is: the keys that lead to it (`null` for an item of a list), whether it is a value, and the keys that
 * are there already.
 */
function placeAt(state, position) {
  const line = state.doc.lineAt(position);
  const before = line.text.slice(0, position - line.from);
  if (/(^|\s)#/.test(before)) return null;
  return isInFlow(state, position) ? inFlow(state, position) : inBlock(state, line, before);
}

function isInFlow(state, position) {
  for (let node = syntaxTree(state).resolveInner(position, -1); node; node = node.parent) {
    if (node.name === "FlowMapping" || node.name === "FlowSequence") {
      const isClosed = /[}\]]$/.test(state.sliceDoc(node.from, node.to));
      return position > node.from && (position < node.to || !isClosed);
    }
  }
  return false;
}

/** The place inside of braces or brackets, by counting them from the start of the outermost one. */
function inFlow(state, position) {
  let outer = syntaxTree(state).resolveInner(position, -1);
  for (let node = outer; node; node = node.parent) if (/^Flow(Mapping|Sequence)$/.test(node.name)) outer = node;
  const line = state.doc.lineAt(outer.from);
  const lead = line.text.slice(0, outer.from - line.from);
  const block = inBlock(state, line, lead);
  const path = block ? [...block.path] : [];
  const levels = [];
  let quote = "";
  let token = "";
  for (const character of state.sliceDoc(outer.from, position)) {
    const level = levels.at(-1);
    if (quote) {
      if (character === quote) quote = "";
      else token += character;
    } else if (character === '"' || character === "'") quote = character;
    else if (character === "{" || character === "[") {
      levels.push({ isList: character === "[", key: null, taken: new Set() });
      token = "";
    } else if (character === "}" || character === "]") {
      levels.pop();
      token = "";
    } else if (character === "," && level) [level.key, token] = [null, ""];
    else if (character === ":" && level && !level.isList && level.key === null) {
      level.key = token.trim();
      level.taken.add(level.key);
      token = "";
    } else token += character;
  }
  const level = levels.at(-1);
  if (!level) return null;
  for (const each of levels.slice(0, -1)) path.push(each.isList ? null : each.key);
  if (level.isList) return { path: [...path, null], isValue: true, taken: new Set() };
  if (level.key !== null) return { path: [...path, level.key], isValue: true, taken: new Set() };
  return { path, isValue: false, taken: level.taken };
}

const KEY = /^("[^"]*"|'[^']*'|[^\s#:{["'-][^:]*?)\s*:(?:\s|$)/;
const DASHES = /^\s*(?:-(?: +|$))*/;
const unquoted = (key) => key.replace(/^(["'])(.*)\1$/, "$2");

/** The place by indentation, read from the first line on. */
function inBlock(state, line, before) {
  let frames = [];
  for (let number = 1; number < line.number; number += 1) {
    const text = state.doc.line(number).text;
    if (!text.trim() || text.trimStart().startsWith("#")) continue;
    frames = items(frames, text);
    const column = DASHES.exec(text)[0].length;
    const key = KEY.exec(text.slice(column));
    if (key) frames = withKey(frames, column, unquoted(key[1]));
  }
  frames = items(frames, before);
  const column = DASHES.exec(before)[0].length;
  const own = KEY.exec(before.slice(column));
  const taken = frames.find((frame) => frame.column === column && frame.key !== null)?.taken ?? new Set();
  const outer = frames.filter((frame) => frame.column < column).map((frame) => frame.key);
  if (own) return { path: [...outer, unquoted(own[1])], isValue: true, taken: new Set() };
  return { path: outer, isValue: false, taken: new Set([...taken, ...later(state, line, column)]) };
}

/** The frames after the dashes of a line: each is an item of a list, maybe at the column of the list's key. */
function items(frames, text) {
  for (let column = 0; column < DASHES.exec(text)[0].length; column += 1) {
    if (text[column] !== "-") continue;
    frames = frames.filter((frame) => frame.column < column || (frame.column === column && frame.key !== null));
    frames.push({ column, key: null });
  }
  return frames;
}

function withKey(frames, column, key) {
  const sibling = frames.find((frame) => frame.column === column && frame.key !== null);
  const taken = (sibling?.taken ?? new Set()).add(key);
  return [...frames.filter((frame) => frame.column < column), { column, key, taken }];
}

/** The keys of the same mapping on the lines that follow. */
function later(state, line, column) {
  const found = [];
  for (let number = line.number + 1; number <= state.doc.lines; number += 1) {
    const text = state.doc.line(number).text;
    if (!text.trim() || text.trimStart().startsWith("#")) continue;
    const start = text.length - text.trimStart().length;
    if (start < column) break;
    const key = start === column && KEY.exec(text.slice(column));
    if (key) found.push(unquoted(key[1]));
  }
  return found;
}
