// The page: fields, examples, links, and the decision after each change.

import { examples, policy as demoPolicy } from "../examples.json";
import { jsonEditor, mark, policyEditor, replace, show, text } from "./editors.js";
import { load } from "./engine.js";
import { FIELDS, fields as fieldsOf, fragment, LinkError } from "./link.js";
import { element, outcome, verdict } from "./view.js";

/** The time without a change after which the fields are judged. */
const PAUSE_MS = 150;
/** The longest input, in characters. */
const MAX_INPUT = 2_000_000;

const $ = (id) => document.getElementById(id);
const editors = {
  policy: policyEditor($("policy"), changed),
  claims: jsonEditor($("claims"), "Claims of the caller's token, in JSON", '{"sub": "dana"}', changed),
  request: jsonEditor($("request"), "Request, in JSON", '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}', changed),
  answer: jsonEditor($("answer"), "The server's answer, in JSON", '{"jsonrpc": "2.0", "id": 1, "result": {}}', changed),
};
const inputs = { headers: $("headers"), now: $("now") };

let judge = null;
let timer = 0;
let wantedResource = "";

function fields() {
  return {
    ...Object.fromEntries(Object.entries(editors).map(([name, view]) => [name, text(view)])),
    ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value])),
    resource: wantedResource,
  };
}

function fill(values) {
  for (const name of FIELDS) {
    if (editors[name]) replace(editors[name], values[name] ?? "");
    else if (inputs[name]) inputs[name].value = values[name] ?? "";
  }
  wantedResource = values.resource ?? "";
  if (values.headers || values.now) inputs.now.closest("details").open = true;
}

function changed() {
  document.body.dataset.state = "changed";
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE_MS);
}

async function update() {
  clearTimeout(timer);
  if (!judge) return;
  const given = fields();
  const now = time(given.now);
  problem("now", now === null ? "Not a time: write one such as 2026-01-31T12:00:00Z." : "");
  if (now === null) return nothing("The time cannot be read.");
  if (Object.values(given).join("").length > MAX_INPUT) return nothing("The fields are too long for the playground.");
  let seen;
  try {
    seen = await judge({ ...given, now });
  } catch (error) {
    return nothing(`The engine stopped: ${error.message}. Report this as a bug, with a link to it.`);
  }
  // The fields may have changed while the engine ran.
  if (JSON.stringify(fields()) === JSON.stringify(given)) render(seen, given);
}

function time(written) {
  if (!written.trim()) return Math.floor(Date.now() / 1000);
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?$/.test(written.trim());
  const stated = written.trim();
  const millis = isTime ? Date.parse(stated.includes("T") && !stated.endsWith("Z") ? `${stated}Z` : stated) : NaN;
  return Number.isNaN(millis) || millis < 0 ? null : Math.floor(millis / 1000);
}

function nothing(message) {
  $("verdict").replaceChildren(element("p", { class: "verdict none" }, message));
  $("outcome").replaceChildren();
  document.body.dataset.state = "judged";
}

function problem(name, message) {
  const place = $(`${name}-problem`);
  place.hidden = !message;
  place.textContent = message;
}

function render(seen, given) {
  findings(seen);
  choices(seen.policies ?? []);
  for (const name of ["claims", "headers"]) problem(name, "");
  if (seen.failure) return nothing(`The engine could not read the fields: ${seen.failure}`);
  if (seen.mistakes) return nothing("The filter does not load this policy. Its mistakes are marked.");
  if (seen.problem) {
    const { field, message, next } = seen.problem;
    if (field) problem(field, `${message}. Next: ${next}.`);
    if (field === "headers") inputs.headers.closest("details").open = true;
    return nothing(`Not judged: ${message}.`);
  }
  if (!seen.explanation) return nothing("Write a request to see the decision about it.");
  // Screen readers say the line again only if it is another.
  const line = verdict(seen.explanation);
  if ($("verdict").firstChild?.isEqualNode(line) !== true) $("verdict").replaceChildren(line);
  const open = new Set([...document.querySelectorAll("#outcome details[open]")].map((part) => part.dataset.part));
  $("outcome").replaceChildren(...outcome(seen.explanation, given));
  for (const part of document.querySelectorAll("#outcome details")) part.open = open.has(part.dataset.part ?? "");
  document.body.dataset.state = "judged";
}

function findings({ mistakes = [], warnings = [] }) {
  const all = [
    ...mistakes.map((each) => ({ ...each, severity: "error" })),
    ...warnings.map((each) => ({ ...each, severity: "warning" })),
  ];
  mark(editors.policy, all);
  const lines = all.map((each) => {
    const place = element("button", { type: "button" }, `Line ${each.line}, column ${each.column}`);
    place.addEventListener("click", () => show(editors.policy, each));
    const kind = each.severity === "warning" ? "Warning: " : "";
    return element("li", { class: each.severity, "data-line": String(each.line) }, place, ` ${kind}${each.message}`);
  });
  $("mistakes").replaceChildren(...lines);
  $("mistakes").hidden = lines.length === 0;
}

function choices(policies) {
  $("choice").hidden = policies.length < 2;
  $("resource").replaceChildren(...policies.map((name) => element("option", { value: name }, name)));
  if (policies.includes(wantedResource)) $("resource").value = wantedResource;
}

function notice(message) {
  $("notice").hidden = !message;
  $("notice").textContent = message;
}

function example(number) {
  const { claims, request, answer } = examples[number];
  fill({ policy: demoPolicy, claims, request, answer });
  $("example").value = String(number);
}

function listExamples() {
  const groups = new Map();
  examples.forEach(({ group, title }, number) => {
    if (!groups.has(group)) groups.set(group, element("optgroup", { label: group }));
    groups.get(group).append(element("option", { value: String(number) }, title));
  });
  $("example").replaceChildren(element("option", { value: "" }, "your own"), ...groups.values());
}

async function share() {
  try {
    const link = new URL(await fragment(fields()), location.href).href;
    history.replaceState(null, "", link);
    $("link").value = link;
    $("shared").hidden = false;
    $("link").focus();
    $("link").select();
    const isCopied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    notice(isCopied ? "The link is copied. The fields are in it, also the claims: share no secrets." : "Copy the link from the field below the buttons. The fields are in it, also the claims: share no secrets.");
  } catch (error) {
    notice(error instanceof LinkError ? error.message : "The link cannot be made in this browser.");
  }
}

/** Fills the fields from the link, if there is one. */
async function open() {
  try {
    const linked = await fieldsOf(location.hash);
    if (!linked) return false;
    fill(linked);
    $("example").value = "";
    notice("The fields are from the link.");
    return true;
  } catch (error) {
    notice(error instanceof LinkError ? error.message : "The link cannot be read in this browser.");
    return false;
  }
}

listExamples();
$("example").addEventListener("change", () => {
  if ($("example").value !== "") example(Number($("example").value));
  notice("");
  changed();
});
$("resource").addEventListener("change", () => {
  wantedResource = $("resource").value;
  changed();
});
$("share").addEventListener("click", share);
for (const input of Object.values(inputs)) input.addEventListener("input", changed);
addEventListener("hashchange", async () => {
  if (await open()) changed();
});
if (!(await open())) example(0);
try {
  judge = await load();
  await update();
} catch (error) {
  nothing(`The engine does not start in this browser: ${error.message}`);
}
