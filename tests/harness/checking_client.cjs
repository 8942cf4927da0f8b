// Calls a tool as a client of the official TypeScript SDK that has seen its schema, and so checks the
// result. Arguments: the port, a token, the tool. Prints the structured content.

const { createRequire } = require('node:module');
const { join } = require('node:path');
// Where the package is installed.
const sdk = createRequire(join(__dirname, '../clients/node/package.json'));
const { Client } = sdk('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = sdk('@modelcontextprotocol/sdk/client/streamableHttp.js');

const [port, token, name] = process.argv.slice(2);
const requestInit = { headers: { authorization: `Bearer ${token}` } };

async function main() {
  const client = new Client({ name: 'checking', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`), { requestInit }));
  const { tools } = await client.listTools();
  if (!tools.some((tool) => tool.name === name && tool.outputSchema)) throw new Error('no schema');
  const { structuredContent } = await client.callTool({ name, arguments: {} });
  console.log(JSON.stringify(structuredContent));
  await client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
