// Authorization servers that exchange tokens (RFC 8693) and take identity assertions (RFC 7523), as grant types of
// oidc-provider. Usage: node token-exchange.js '<settings as JSON>'

import { createLocalJWKSet, createRemoteJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import { errors } from 'oidc-provider';
import { signingKey } from './provider-configuration.js';
import { serve } from './serve-provider.js';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ASSERTION = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const LIFETIME = 600;

const settings = JSON.parse(process.argv[2]);
const key = signingKey();

function configuration() {
  return {
    clients: settings.clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: { keys: ['tests'] },
    jwks: { keys: [key] },
    ttl: { AccessToken: LIFETIME },
    scopes: settings.scopes,
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_context, name) => resourceServer(name) },
    },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  };
}

function resourceServer(name) {
  if (!settings.audiences.includes(name)) throw new errors.InvalidTarget();
  const jwt = { sign: { alg: 'ES256' } };
  return { audience: name, scope: settings.scopes.join(' '), accessTokenFormat: 'jwt', jwt };
}

async function verified(token, keys, expected) {
  try {
    return (await jwtVerify(token, keys, expected)).payload;
  } catch {
    throw new errors.InvalidGrant('not accepted');
  }
}

// A real access token of a user, for one resource server.
async function accessToken(provider, client, accountId, name, scope) {
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addResourceScope(name, scope);
  const grantId = await grant.save();
  const token = new provider.AccessToken({ client, accountId, grantId, gty: 'exchange', scope });
  token.resourceServer = new provider.ResourceServer(name, resourceServer(name));
  return { access_token: await token.save(), token_type: 'Bearer', expires_in: LIFETIME, scope };
}

async function exchange(provider, context) {
  const { client, params } = context.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type');
  const { issuer, audience, keys } = settings.subjects;
  const subject = await verified(params.subject_token, createLocalJWKSet(keys), { issuer, audience });
  if (settings.strangers.includes(subject.sub)) throw new errors.AccessDenied();
  if (params.requested_token_type === ID_JAG) {
    const assertion = await identityAssertion(provider, client, subject.sub, params);
    return { access_token: assertion, issued_token_type: ID_JAG, token_type: 'N_A', expires_in: 60 };
  }
  if (params.requested_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('requested_token_type');
  const answer = await accessToken(provider, client, subject.sub, params.audience, params.scope);
  return { ...answer, issued_token_type: ACCESS_TOKEN };
}

async function identityAssertion(provider, client, sub, params) {
  const claims = { client_id: client.clientId, scope: params.scope, resource: params.resource };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'oauth-id-jag+jwt', kid: key.kid })
    .setIssuer(provider.issuer)
    .setSubject(sub)
    .setAudience(params.audience)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(await importJWK(key, 'ES256'));
}

async function redeem(provider, context) {
  const { client, params } = context.oidc;
  const issuer = settings.assertions;
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const expected = { issuer, audience: provider.issuer, typ: 'oauth-id-jag+jwt' };
  const assertion = await verified(params.assertion, keys, expected);
  if (settings.strangers.includes(assertion.sub)) throw new errors.InvalidGrant('nobody here');
  return accessToken(provider, client, assertion.sub, assertion.resource, assertion.scope);
}

function register(provider) {
  const grants = {
    [EXCHANGE]: [exchange, ['audience', 'resource', 'scope', 'requested_token_type', 'subject_token', 'subject_token_type']],
    [ASSERTION]: [redeem, ['assertion']],
  };
  for (const [name, [answer, parameters]] of Object.entries(grants)) {
    provider.registerGrantType(name, async (context) => (context.body = await answer(provider, context)), parameters);
  }
}

await serve(settings, configuration, undefined, register);
