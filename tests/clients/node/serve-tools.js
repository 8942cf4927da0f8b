// What every client program does once it is connected.

import { serve } from './dialogue.js';

// `ask` does the work, and may have the user sign in on the way; `more` are commands besides.
export function serveTools(client, ask = (work) => work(), more = {}) {
  return serve({
    list: () => ask(async () => (await client.listTools()).tools.map((tool) => tool.name)),
    call: ({ name, arguments: given }) =>
      ask(async () => {
        const { content, isError } = await client.callTool({ name, arguments: given });
        return { text: content.map((part) => part.text).join(''), failed: Boolean(isError) };
      }),
    ...more,
  });
}
