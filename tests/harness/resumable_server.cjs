// A CRM on the first line of the official TypeScript SDK, with sessions, streams that can be resumed,
// and tasks. Prints its port, then what each request named.

const { createRequire } = require('node:module');
const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
// Where the package is installed.
const sdk = createRequire(join(__dirname, '../clients/node/package.json'));
const { McpServer } = sdk('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = sdk('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { InMemoryEventStore } = sdk('@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js');
const { InMemoryTaskStore } = sdk('@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js');

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const text = (value) => ({ content: [{ type: 'text', text: value }] });
const sessions = new Map();
const eventStore = new InMemoryEventStore();
const taskStore = new InMemoryTaskStore();

function newServer() {
  const server = new McpServer(
    { name: 'crm', version: '1' },
    { capabilities: { tasks: { cancel: {}, requests: { tools: { call: {} } } } }, taskStore },
  );
  server.registerTool('crm.get_customer', { description: 'Find a customer.' }, () => text('found'));
  server.registerTool('crm.import', { description: 'Takes longer than its stream.' }, async (extra) => {
    extra.closeSSEStream();
    await sleep(200);
    return text('imported');
  });
  server.experimental.tasks.registerToolTask(
    'crm.search_all',
    { description: 'Runs as a task.', execution: { taskSupport: 'required' } },
    {
      async createTask({ taskStore, taskRequestedTtl }) {
        const task = await taskStore.createTask({ ttl: taskRequestedTtl, pollInterval: 50 });
        setTimeout(() => taskStore.storeTaskResult(task.taskId, 'completed', text('searched')), 100);
        return { task };
      },
      getTask: (extra) => extra.taskStore.getTask(extra.taskId),
      getTaskResult: (extra) => extra.taskStore.getTaskResult(extra.taskId),
    },
  );
  return server;
}

async function newTransport() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore,
    retryInterval: 50,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await newServer().connect(transport);
  return transport;
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined;
}

const http = require('node:http').createServer(async (request, response) => {
  const message = await body(request);
  const session = request.headers['mcp-session-id'];
  const event = request.headers['last-event-id'];
  const task = message?.params?.taskId;
  console.log(JSON.stringify({ method: request.method, session, event, task }));
  if (session && !sessions.has(session)) {
    const error = { code: -32001, message: 'gone' };
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
    return;
  }
  const transport = sessions.get(session) ?? (await newTransport());
  await transport.handleRequest(request, response, message);
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
