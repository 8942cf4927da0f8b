// The OpenID provider of the demo: node server.js PORT ISSUER MCP_ORIGIN
//
// It has a page where users sign in and agree, and registers MCP clients by itself. Users, keys and sessions are in
// memory: after a restart users sign in again.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import { configuration } from './configuration.js';
import { answerPage } from './pages.js';

const [port, issuer, mcpOrigin] = process.argv.slice(2);
const provider = new Provider(issuer, configuration(mcpOrigin, process.env.LOGIN_SECRET));
provider.on('server_error', (_context, error) => console.error(error));

const answer = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith('/interaction/')) return answerPage(provider, request, response);
  return answer(request, response);
}).listen(Number(port));
process.on('SIGTERM', () => process.exit(0));
