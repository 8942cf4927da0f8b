// What the provider is set up to do.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errors } from 'oidc-provider';

const HOUR_S = 3600;
const SCOPES = 'crm:read crm:write';

export const people = JSON.parse(readFileSync(new URL('people.json', import.meta.url)));

export function configuration(mcpOrigin, pagesSecret) {
  return {
    // The client for the filter's own pages. MCP clients register themselves.
    clients: [
      {
        client_id: 'mcp-auth-pages',
        client_secret: pagesSecret,
        client_name: 'Confirmations',
        redirect_uris: [`${mcpOrigin}/.mcp-auth/signed-in`],
      },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientBasedCORS: () => true,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: { keys: [signingKey()] },
    ttl: { AccessToken: HOUR_S, Session: 8 * HOUR_S, Grant: 8 * HOUR_S, Interaction: HOUR_S },
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `${mcpOrigin}/mcp`,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => {
          if (resource !== `${mcpOrigin}/mcp`) throw new errors.InvalidTarget();
          return { audience: resource, scope: SCOPES, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) => byId(sub) && { accountId: sub, claims: () => ({ sub, name: byId(sub).name }) },
    extraTokenClaims: (_context, token) => byId(token.accountId)?.claims,
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
  };
}

function byId(sub) {
  return Object.values(people).find((person) => person.sub === sub);
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: randomBytes(4).toString('hex') };
}
