// Customers on the first line of the official TypeScript SDK, with sessions. Prints its port.
// Arguments: the customers as JSON, and how to answer: json or events.

const { createRequire } = require('node:module');
const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
// Where the package is installed.
const sdk = createRequire(join(__dirname, '../clients/node/package.json'));
const { McpServer } = sdk('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = sdk('@modelcontextprotocol/sdk/server/streamableHttp.js');
const z = sdk('zod');

const [customers, style] = [JSON.parse(process.argv[2]), process.argv[3]];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const sessions = new Map();

const customer = z.object({
  id: z.number().int(),
  name: z.string(),
  organization_id: z.string(),
  ssn: z.string(),
  limit: z.number().int(),
  vip: z.boolean(),
});
const outputSchema = { customers: z.array(customer), total: z.number().int() };

function newServer() {
  const server = new McpServer({ name: 'crm', version: '1' });
  const search = async ({ wait }) => {
    await sleep(wait ?? 0);
    return { structuredContent: customers, content: [{ type: 'text', text: JSON.stringify(customers) }] };
  };
  const inputSchema = { wait: z.number().optional() };
  server.registerTool('crm.search_customers', { description: 'Find customers.', inputSchema, outputSchema }, search);
  server.registerTool('crm.wait', { description: 'Takes its time.', inputSchema }, async ({ wait }) => {
    await sleep(wait ?? 0);
    return { content: [{ type: 'text', text: 'waited' }] };
  });
  return server;
}

async function newTransport() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: style === 'json',
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await newServer().connect(transport);
  return transport;
}

const http = require('node:http').createServer(async (request, response) => {
  const transport = sessions.get(request.headers['mcp-session-id']) ?? (await newTransport());
  await transport.handleRequest(request, response);
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
