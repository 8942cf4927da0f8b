// What a client program and its test say to each other: one JSON document per line.

import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const options = JSON.parse(process.argv[2]);

export function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

// The test plays the browser: it is given an address and hands back where that led.
export async function browse(url) {
  say({ browse: String(url) });
  return new URL((await hear()).arrived);
}

// Carry out commands until there are no more.
export async function serve(commands) {
  for (let command = await hear(); command; command = await hear()) {
    const [[name, parameters]] = Object.entries(command);
    say(await commands[name](parameters).then((reply) => ({ reply }), failure));
  }
}

export function failure(error) {
  return { error: { name: error.constructor.name, code: error.code, message: error.message } };
}

async function hear() {
  const { value } = await lines.next();
  return value && JSON.parse(value);
}
