// What a provider with pages is set up to do: everything the filter may ask of one.

import { readFileSync } from 'node:fs';
import { errors, interactionPolicy } from 'oidc-provider';
import { signingKey } from './provider-configuration.js';

const HOUR = 3600;

// Settings: name, host, users, resources, tokens_end_with_session, claims_file (claims of users, read for each token).
export function configuration(settings) {
  const claimsOf = (sub) => {
    const file = settings.claims_file;
    return file ? JSON.parse(readFileSync(file, 'utf8'))[sub] : settings.users[sub]?.claims;
  };
  return {
    // ID tokens say the same of a user as access tokens.
    claims: { openid: ['sub', 'realm_access', 'org_id'] },
    conformIdTokenClaims: false,
    // How strong a sign-in can be.
    acrValues: ['password', 'mfa'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // Registered with a client: seconds its access tokens are good for, and their format.
    extraClientMetadata: { properties: ['access_token_lifetime', 'access_token_format'], validator: () => {} },
    // The browser sends cookies to every port of a host, so that the providers need names of their own.
    cookies: { keys: [settings.name], names: cookieNames(settings.name) },
    jwks: { keys: [signingKey()] },
    ttl: { AccessToken: (_context, _token, client) => client.access_token_lifetime ?? HOUR },
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', ...settings.resources.scopes],
    features: {
      backchannelLogout: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      resourceIndicators: resourceIndicators(settings),
      revocation: { enabled: true },
    },
    interactions: { policy: prompts(), url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) =>
      settings.users[sub] && { accountId: sub, claims: () => ({ ...claimsOf(sub), sub }) },
    extraTokenClaims: ({ oidc: { entities } }, token) => ({
      ...claimsOf(token.accountId),
      sid: token.sessionUid,
      auth_time: (entities.AuthorizationCode ?? entities.RefreshToken)?.authTime,
    }),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    fetch: fetchFromThisMachine,
    expiresWithSession: () => settings.tokens_end_with_session,
  };
}

// A client may ask that the user chooses an account (`prompt=select_account`).
function prompts() {
  const policy = interactionPolicy.base();
  policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);
  return policy;
}

// Client ID metadata documents have https addresses; on this machine they are served without TLS. The
// dispatcher left out is the one that would refuse to connect to this machine.
function fetchFromThisMachine(url, { dispatcher, ...options }) {
  return fetch(String(url).replace('https://127.0.0.1:', 'http://127.0.0.1:'), options);
}

// Resources are known by how their addresses begin; tokens are for the default one when the client names none.
function resourceIndicators({ resources: { prefix, fallback, scopes, format } }) {
  return {
    enabled: true,
    defaultResource: () => fallback,
    useGrantedResource: () => true,
    getResourceServerInfo: (_context, resource, client) => {
      if (!resource.startsWith(prefix)) throw new errors.InvalidTarget();
      const accessTokenFormat = client.access_token_format ?? format;
      const jwt = { sign: { alg: 'ES256' } };
      return { audience: resource, scope: scopes.join(' '), accessTokenFormat, jwt };
    },
  };
}

function cookieNames(name) {
  return Object.fromEntries(['session', 'interaction', 'resume'].map((each) => [each, `${name}_${each}`]));
}
