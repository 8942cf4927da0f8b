// Links to a state of the page. The state is in the fragment, which a browser sends to no server.

/** The fields in a link. */
export const FIELDS = ["policy", "resource", "claims", "headers", "request", "answer", "now"];
/** The longest fragment that is read, in characters. */
const MAX_FRAGMENT = 200_000;
/** The longest state that a fragment unpacks to, in bytes. */
const MAX_STATE = 1_000_000;
const PREFIX = "#s=";

/** A fragment that is not a state. The message is for the user. */
export class LinkError extends Error {}

/** The fragment with these fields. */
export async function fragment(fields) {
  const state = Object.fromEntries(FIELDS.map((name) => [name, fields[name] ?? ""]).filter(([, text]) => text));
  const text = new TextEncoder().encode(JSON.stringify(state));
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const encoded = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (PREFIX.length + encoded.length > MAX_FRAGMENT || text.length > MAX_STATE) {
    throw new LinkError("The fields are too long for a link.");
  }
  return PREFIX + encoded;
}

/** The fields of a fragment. `null`: it has none. */
export async function fields(fragment) {
  if (!fragment || fragment === "#") return null;
  if (!fragment.startsWith(PREFIX)) throw new LinkError("The link is not one of the playground: its fragment does not start with s=.");
  if (fragment.length > MAX_FRAGMENT) throw new LinkError("The link is too long. It was not read.");
  const bytes = await unpacked(decoded(fragment.slice(PREFIX.length)));
  return checked(bytes);
}

function decoded(encoded) {
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) throw new LinkError("The link is damaged: it is not base64url.");
  try {
    const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    throw new LinkError("The link is damaged: it is not base64url.");
  }
}

/** A small fragment may unpack to much more, so it is read piece by piece. */
async function unpacked(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const pieces = [];
  let length = 0;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch {
      throw new LinkError("The link is damaged: it cannot be unpacked. Maybe its end is missing.");
    }
    if (piece.done) break;
    length += piece.value.length;
    if (length > MAX_STATE) {
      await reader.cancel();
      throw new LinkError("The link unpacks to more than the playground reads. It was not read.");
    }
    pieces.push(piece.value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function checked(bytes) {
  let state;
  try {
    state = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new LinkError("The link is damaged: it has no JSON.");
  }
  const isObject = state !== null && typeof state === "object" && !Array.isArray(state);
  if (!isObject || !Object.entries(state).every(([name, text]) => FIELDS.includes(name) && typeof text === "string")) {
    throw new LinkError("The link has fields that the playground does not have.");
  }
  return Object.fromEntries(FIELDS.map((name) => [name, state[name] ?? ""]));
}
