// Takes the steps of the matrix with the official TypeScript client.
// Reads one line of JSON: the URL, the token and the steps. Prints one line: what came of each step, and all that
// the server sent.

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  McpError,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { url, token, steps, roots, stepLimitS } = JSON.parse((await lines.next()).value);

// Everything the server sent: headers, and bodies as they came.
const wire = [];
// Methods of notifications and requests of the server.
const heard = new Set();
// What the server asked or told during the step.
let asked = [];
let step = {};

async function recordingFetch(input, init) {
  const response = await fetch(input, init);
  wire.push(JSON.stringify([...response.headers]));
  if (!response.body) return response;
  const [mine, theirs] = response.body.tee();
  const place = wire.push('') - 1;
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of mine) wire[place] += decoder.decode(chunk, { stream: true });
  };
  read().catch(() => {});
  return new Response(theirs, response);
}

const client = new Client(
  { name: 'field', version: '1' },
  { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } } },
);
const note = ({ method, params: { _meta, ...params } = {} }) => asked.push({ method, params });
client.setRequestHandler(ElicitRequestSchema, (request) => {
  note(request);
  return { action: 'accept', ...(step.answer && { content: step.answer }) };
});
client.setRequestHandler(CreateMessageRequestSchema, (request) => {
  note(request);
  return { role: 'assistant', model: 'field', content: { type: 'text', text: step.answer ?? 'sampled' } };
});
client.setRequestHandler(ListRootsRequestSchema, (request) => {
  heard.add(request.method);
  return { roots };
});
client.fallbackNotificationHandler = async ({ method }) => void heard.add(method);

const LISTS = {
  tools: (cursor) => client.listTools(cursor),
  prompts: (cursor) => client.listPrompts(cursor),
  resources: (cursor) => client.listResources(cursor),
  resourceTemplates: (cursor) => client.listResourceTemplates(cursor),
};

const request = (method, params) => client.request({ method, params }, ResultSchema);

const WORK = {
  initialize: () => ({
    protocol: client.transport.protocolVersion,
    server: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions(),
  }),
  async list({ of }) {
    const pages = [];
    for (let cursor; ; ) {
      const { nextCursor, ...page } = await LISTS[of](cursor && { cursor });
      pages.push(page);
      if (!(cursor = nextCursor)) return { pages };
    }
  },
  async call({ tool, arguments: args, meta, progress, cancel }) {
    const aborted = new AbortController();
    const onprogress = (params) => {
      asked.push({ method: 'notifications/progress', params });
      if (cancel) aborted.abort();
    };
    const options = { signal: aborted.signal, ...((progress || cancel) && { onprogress }) };
    try {
      return await client.callTool({ name: tool, arguments: args, ...(meta && { _meta: meta }) }, undefined, options);
    } catch (error) {
      if (!aborted.signal.aborted) throw error;
      asked = [];
      return { cancelled: true };
    }
  },
  async task({ tool, arguments: args }) {
    const { task } = await request('tools/call', { name: tool, arguments: args, task: { ttl: 60000 } });
    const { taskId } = task;
    let state = task;
    while (state.status === 'working') {
      await sleep(200);
      state = await request('tasks/get', { taskId });
    }
    return { task, state, result: await request('tasks/result', { taskId }) };
  },
  prompt: ({ prompt, arguments: args }) => client.getPrompt({ name: prompt, arguments: args }),
  read: ({ uri }) => client.readResource({ uri }),
  subscribe: ({ uri }) => client.subscribeResource({ uri }),
  unsubscribe: ({ uri }) => client.unsubscribeResource({ uri }),
  complete: ({ ref, argument, context }) => client.complete({ ref, argument, ...(context && { context }) }),
  ping: () => client.ping(),
  level: ({ level }) => client.setLoggingLevel(level),
  request: ({ method, params }) => request(method, params),
  async wait({ for: method }) {
    while (!heard.has(method)) await sleep(20);
    return { heard: method };
  },
};

function failure(error) {
  if (!(error instanceof McpError)) return { failed: `${error.name}: ${error.message}` };
  return { error: { code: error.code, message: error.message, data: error.data } };
}

async function outcome(work) {
  const limit = sleep(stepLimitS * 1000, { failed: 'no answer in time' });
  const done = await Promise.race([Promise.resolve().then(work).then((result) => ({ result }), failure), limit]);
  return asked.length ? { ...done, asked } : done;
}

const headers = token ? { authorization: `Bearer ${token}` } : {};
const options = { fetch: recordingFetch, requestInit: { headers } };
const transport = new StreamableHTTPClientTransport(new URL(url), options);
const outcomes = {};
const connected = await outcome(() => client.connect(transport).then(() => null));
if (connected.result === undefined) {
  for (const each of steps) outcomes[each.name] = connected;
} else {
  for (step of steps) {
    asked = [];
    outcomes[step.name] = await outcome(() => WORK[step.do](step));
  }
  await transport.terminateSession().catch(() => {});
  await client.close();
}
process.stdout.write(JSON.stringify({ outcomes, wire }), () => process.exit(0));
