// What the OpenID provider of the tests is set up to do.

import { generateKeyPairSync } from 'node:crypto';
import { errors } from 'oidc-provider';

export function configuration(settings) {
  const tokenLifetime = lifetime(settings);
  return {
    clients: settings.clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: { keys: ['tests'] },
    jwks: { keys: [signingKey()] },
    ttl: { AccessToken: tokenLifetime, ClientCredentials: tokenLifetime },
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', ...settings.scopes],
    features: {
      clientCredentials: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: resourceIndicators(settings),
      revocation: { enabled: true },
    },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    extraTokenClaims: (context, token) => ({ ...settings.claims, ...signInTime(settings, context, token) }),
    issueRefreshToken: (_context, client, source) =>
      client.grantTypeAllowed('refresh_token') && settings.resources[source.resource].refresh_tokens,
    fetch: fetchClientMetadata(settings.client_documents),
  };
}

// The audience of an access token is the MCP server that was named as the resource.
function resourceIndicators({ resources }) {
  return {
    enabled: true,
    defaultResource: () => undefined,
    useGrantedResource: () => true,
    getResourceServerInfo: (_context, resource) => {
      if (!(resource in resources)) throw new errors.InvalidTarget();
      return {
        audience: resource,
        scope: resources[resource].scopes.join(' '),
        accessTokenFormat: resources[resource].format,
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

function signInTime({ resources }, { oidc }, token) {
  const signedIn = oidc.entities.AuthorizationCode?.authTime;
  const ago = resources[token.resourceServer?.identifier()]?.signed_in_ago;
  return signedIn && ago ? { auth_time: signedIn - ago } : {};
}

// Seconds a token is good for: a client's first one may be short, so that it is seen to expire.
function lifetime({ resources }) {
  const seen = new Set();
  return (_context, token, client) => {
    const resource = token.resourceServer?.identifier();
    const pair = `${client.clientId} ${resource}`;
    const first = !seen.has(pair);
    seen.add(pair);
    return first && resource ? resources[resource].first_token_lifetime : 600;
  };
}

// Client ID metadata documents live at https addresses, which the tests do not have.
function fetchClientMetadata(documents) {
  return async (url) => {
    const document = documents[String(url)];
    return document ? Response.json(document) : new Response(null, { status: 404 });
  };
}

export function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'provider' };
}
