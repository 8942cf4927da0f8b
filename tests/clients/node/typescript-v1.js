// A program on @modelcontextprotocol/sdk, the first line of the official TypeScript SDK.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { run } from './client-program.js';
import { options } from './dialogue.js';
import { signIn } from './sign-in.js';

await run(
  {
    UnauthorizedError,
    newClient: () => new Client({ name: 'typescript-v1', version: '1' }),
    newTransport: (authProvider) => new StreamableHTTPClientTransport(new URL(options.url), { authProvider }),
    finish: (transport, { searchParams: parameters }) => {
      if (parameters.has('error')) throw new Error(parameters.get('error'));
      return transport.finishAuth(parameters.get('code'));
    },
    version: (_client, transport) => transport.protocolVersion,
  },
  signIn(ClientCredentialsProvider, options),
);
