// A program on @modelcontextprotocol/client, the second line of the official TypeScript SDK.

import {
  Client,
  ClientCredentialsProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { run } from './client-program.js';
import { options } from './dialogue.js';
import { signIn } from './sign-in.js';

await run(
  {
    UnauthorizedError,
    newClient: () =>
      new Client({ name: 'typescript-v2', version: '1' }, { versionNegotiation: { mode: options.mode } }),
    newTransport: (authProvider) => new StreamableHTTPClientTransport(new URL(options.url), { authProvider }),
    finish: (transport, callback) => transport.finishAuth(callback.searchParams),
    version: (client) => client.getNegotiatedProtocolVersion(),
  },
  signIn(ClientCredentialsProvider, options),
);
