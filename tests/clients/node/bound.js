// A program on the official SDK whose access token is bound to a key of its own (DPoP, RFC 9449):
// oauth4webapi gets the token and makes a proof for every request.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import * as oauth from 'oauth4webapi';
import { browse, failure, options, say } from './dialogue.js';
import { serveTools } from './serve-tools.js';

const overHttp = { [oauth.allowInsecureRequests]: true };
const application = { client_id: options.client_id };
const DPoP = oauth.DPoP(application, await oauth.generateKeyPair('ES256'));

async function signIn() {
  const issuer = new URL(options.issuer);
  const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...overHttp });
  const server = await oauth.processDiscoveryResponse(issuer, discovered);
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const address = new URL(server.authorization_endpoint);
  address.search = new URLSearchParams({
    ...application,
    redirect_uri: options.redirect_uri,
    response_type: 'code',
    scope: options.scope,
    resource: options.url,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const arrived = oauth.validateAuthResponse(server, application, await browse(address), state);
  const granted = await oauth.authorizationCodeGrantRequest(
    server, application, oauth.None(), arrived, options.redirect_uri, verifier,
    { DPoP, additionalParameters: { resource: options.url }, ...overHttp },
  );
  return oauth.processAuthorizationCodeResponse(server, application, granted);
}

// A request with this token and a new proof; `send` is what carries it.
function proven(token, send, url, { method = 'GET', headers, body, signal } = {}) {
  const more = { DPoP, signal, [oauth.customFetch]: send, ...overHttp };
  return oauth.protectedResourceRequest(token, method, new URL(url), new Headers(headers), body, more);
}

// What would be sent with a token, wherever that is from.
async function headersFor({ token, method }) {
  let seen;
  await proven(token, async (_url, { headers }) => ((seen = headers), new Response()), options.url, { method });
  return { authorization: seen.authorization, dpop: seen.dpop };
}

async function run() {
  const { access_token: token } = await signIn();
  const client = new Client({ name: 'bound', version: '1' }, { versionNegotiation: { mode: options.mode } });
  const withProof = (url, init) => proven(token, fetch, url, init);
  await client.connect(new StreamableHTTPClientTransport(new URL(options.url), { fetch: withProof }));
  say({ reply: { protocol: client.getNegotiatedProtocolVersion() } });
  await serveTools(client, undefined, { headers: headersFor });
  await client.close();
}

await run().catch((error) => say(failure(error)));
