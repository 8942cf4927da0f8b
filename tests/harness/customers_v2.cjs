// Customers on the second line of the official TypeScript SDK, without sessions. Prints its port.
// Arguments: the customers as JSON, and how to answer: json or events.

const { createRequire } = require('node:module');
const { join } = require('node:path');
// Where the packages are installed.
const sdk = createRequire(join(__dirname, '../clients/node/package.json'));
const { McpServer, createMcpHandler } = sdk('@modelcontextprotocol/server');
const { toNodeHandler } = sdk('@modelcontextprotocol/node');
const { z } = sdk('zod');

const [customers, style] = [JSON.parse(process.argv[2]), process.argv[3]];

const customer = z.object({
  id: z.int(),
  name: z.string(),
  organization_id: z.string(),
  ssn: z.string(),
  limit: z.int(),
  vip: z.boolean(),
});
const outputSchema = z.object({ customers: z.array(customer), total: z.int() });

function newServer() {
  const server = new McpServer({ name: 'crm', version: '1' });
  server.registerTool(
    'crm.search_customers',
    { description: 'Find customers.', inputSchema: z.object({}), outputSchema },
    () => ({ structuredContent: customers, content: [{ type: 'text', text: JSON.stringify(customers) }] }),
  );
  return server;
}

const handler = createMcpHandler(newServer, { responseMode: style === 'json' ? 'json' : 'sse' });
const http = require('node:http').createServer(toNodeHandler(handler));
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
