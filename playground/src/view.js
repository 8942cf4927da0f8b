// The decision as elements. Texts are text nodes: nothing of the input is read as HTML.

import { presentableDiff } from "@codemirror/merge";

/** An element with texts and elements in it. */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content.filter((part) => part !== null && part !== undefined));
  return made;
}

// Characters that move or hide text.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\udb40[\udc00-\udc7f]/g;
const shown = (text) => String(text).replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0).toString(16)}}`);

const WORDS = {
  approved: "The request may pass.",
  blocked: "The request may not pass.",
  needs_review: "The caller can cure it.",
  draft: "Observe mode: the request passes unchanged.",
  failed: "The request has no complete answer.",
};

/** The decision in one line, for people and screen readers. */
export function verdict(explanation) {
  const { verdict: name, reason, record, answer } = explanation;
  const withheld = !answer && name !== "approved" && name !== "draft";
  const words = withheld ? "The server got the request. The caller does not get its answer." : WORDS[name];
  // On a phone the fields are between the decision and its reasons.
  const jump = element("button", { type: "button", class: "jump" }, "Why");
  jump.addEventListener("click", () => document.getElementById("outcome").scrollIntoView());
  return element(
    "p",
    { class: `verdict ${name}`, "data-verdict": name, "data-reason": reason },
    element("strong", {}, name.replace("_", " ")),
    element("code", {}, reason),
    element("span", {}, record.would_be ? `${words} Enforced it would be ${record.would_be}.` : words ?? ""),
    jump,
  );
}

/** Everything about a decision. */
export function outcome(explanation, fields) {
  const { sent, answer, answered, received, record } = explanation;
  return [
    why(explanation),
    sent ? toServer(sent, explanation, fields) : null,
    answer ? reply(answer) : null,
    received ? toClient(received, answered, record) : null,
    sent && !received ? element("section", {}, heading("The client gets"), note("Write the server's answer to see what the client gets of it.")) : null,
    element("section", {}, heading("Access-log record"), code(JSON.stringify(record, null, 2), "Access-log record", "record")),
  ].filter(Boolean);
}

const heading = (text) => element("h2", {}, text);
const note = (text) => element("p", { class: "hint" }, text);
const code = (content, label, id) =>
  element("pre", { tabindex: "0", role: "region", "aria-label": label, "data-part": id }, ...(Array.isArray(content) ? content : [shown(content)]));

function why(explanation) {
  const rows = [
    ["Request", explanation.target],
    ["Meaning", explanation.meaning],
    ["Next action", explanation.next_action],
    ["Note", explanation.note],
  ].filter(([, text]) => text);
  const list = element("dl", {});
  for (const [term, text] of rows) list.append(element("dt", {}, term), element("dd", {}, shown(text)));
  if (explanation.evidence.length) list.append(element("dt", {}, "Evidence"), element("dd", {}, evidence(explanation.evidence)));
  const { claims_filled_in: filled } = explanation;
  if (filled.length) list.append(element("dt", {}, "Filled in"), element("dd", {}, `Claims that the token needs and that are not given: ${filled.join(", ")}`));
  return element("section", {}, heading("Why"), list);
}

const evidence = (found) =>
  element("ul", { class: "evidence" }, ...found.map(({ source, summary }) => element("li", {}, element("code", {}, shown(source)), ` ${shown(summary)}`)));

function toServer(sent, { forward }, fields) {
  const isSame = forward.body === null;
  return element(
    "section",
    {},
    heading("The server gets"),
    note(isSame ? "The body byte for byte as it came:" : "The body with these changes:"),
    code(isSame ? sent.body : difference(fields.request.trim(), sent.body), "The body that the server gets", "body"),
    headers("Headers that the server gets", sent.headers),
  );
}

function reply({ status, headers: pairs, body }) {
  return element(
    "section",
    {},
    heading("The client gets"),
    note(`HTTP ${status}. The server gets nothing.`),
    headers("Headers that the client gets", pairs.map(([name, value]) => ({ name, value, change: "kept" }))),
    body ? code(body, "The body that the client gets", "reply") : null,
  );
}

function toClient({ body, changes, headers: edits }, sent, record) {
  const facts = [
    record.dropped_items ? `${record.dropped_items} taken out, since another owns it` : null,
    record.redacted?.length ? `hidden: ${record.redacted.join(", ")}` : null,
    record.hidden_names ? `names of tools hidden: ${record.hidden_names}` : null,
    record.withheld_errors ? `errors without their text: ${record.withheld_errors}` : null,
    record.pins_broken?.length ? `not as pinned: ${record.pins_broken.join(", ")}` : null,
  ].filter(Boolean);
  const isSame = body === sent;
  return element(
    "section",
    {},
    heading("The client gets"),
    note(isSame ? "The server's answer byte for byte as it came:" : "The server's answer with these changes:"),
    facts.length ? element("ul", {}, ...facts.map((fact) => element("li", {}, shown(fact)))) : null,
    code(isSame ? body : difference(sent, body), "The answer that the client gets", "received"),
    edits.length ? headers("Changed headers of the answer", edits.map((edit) => ("set" in edit ? { name: edit.set, value: edit.value, change: "set" } : { name: edit.remove, value: "", change: "removed" }))) : null,
    isSame || !changes.length ? null : element("details", {}, element("summary", {}, "The changes as a list"), element("ul", {}, ...changes.map((change) => element("li", {}, element("code", {}, shown(change)))))),
  );
}

const SIGNS = { kept: "", removed: "removed", set: "set" };

function headers(title, all) {
  const rows = all.map(({ name, value, change }) =>
    element("tr", { class: change }, element("th", { scope: "row" }, shown(name)), element("td", {}, shown(value)), element("td", {}, SIGNS[change])),
  );
  const head = element("thead", {}, element("tr", {}, ...["Header", "Value", "Change"].map((text) => element("th", { scope: "col" }, text))));
  const table = element("table", {}, head, element("tbody", {}, ...rows));
  return element("details", { "data-part": "headers" }, element("summary", {}, `${title} (${all.length})`), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table));
}

/** The later text, with what was taken out and put in. */
function difference(before, after) {
  const parts = [];
  let end = 0;
  for (const { fromA, toA, fromB, toB } of presentableDiff(before, after, { scanLimit: 2000, timeout: 300 })) {
    parts.push(shown(after.slice(end, fromB)));
    if (toA > fromA) parts.push(element("del", {}, shown(before.slice(fromA, toA))));
    if (toB > fromB) parts.push(element("ins", {}, shown(after.slice(fromB, toB))));
    end = toB;
  }
  parts.push(shown(after.slice(end)));
  return parts;
}
