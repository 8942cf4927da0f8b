// The part of a host application both TypeScript clients share: the SDK reports that somebody has
// to sign in, the application opens the browser, hands the code back and tries again.

import { browse, failure, say } from './dialogue.js';
import { serveTools } from './serve-tools.js';

// `sdk` has: UnauthorizedError, newClient(), newTransport(provider), finish(transport, callback),
// version(client, transport).
export async function run(sdk, provider) {
  const connect = async () => {
    const client = sdk.newClient();
    const transport = sdk.newTransport(provider);
    try {
      await client.connect(transport);
    } catch (error) {
      if (!(await signedIn(error, transport))) throw error;
      return connect();
    }
    return { client, transport };
  };

  const signedIn = async (error, transport) => {
    const url = error instanceof sdk.UnauthorizedError && provider.takeAuthorizationUrl?.();
    if (!url) return false;
    const callback = await browse(url);
    if (callback.searchParams.get('state') !== provider.expectedState) throw new Error('wrong state');
    await sdk.finish(transport, callback);
    return true;
  };

  const opened = await connect().catch(failure);
  if (opened.error) return say(opened);
  const { client, transport } = opened;

  const ask = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (!(await signedIn(error, transport))) throw error;
      return work();
    }
  };

  say({ reply: { protocol: sdk.version(client, transport) } });
  await serveTools(client, ask);
  await client.close();
}
