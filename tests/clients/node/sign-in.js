// How the TypeScript clients sign in: storage in memory, and the test as the browser.

import { randomUUID } from 'node:crypto';

// As itself if it has a secret, with the SDK's own provider for that; else for a user.
export function signIn(ClientCredentialsProvider, options) {
  if (!options.client_secret) return new SignIn(options);
  return new ClientCredentialsProvider({
    clientId: options.client_id,
    clientSecret: options.client_secret,
    expectedIssuer: options.issuer,
    scope: options.scope,
  });
}

// Both lines of the SDK take an object of this shape as their `OAuthClientProvider`.
class SignIn {
  constructor({ redirect_uri, client_document, client_id }) {
    this.redirectUrl = redirect_uri;
    this.clientMetadataUrl = client_document;
    this.clientMetadata = {
      client_name: 'TypeScript client',
      redirect_uris: [redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
    this.client = client_id && { client_id, token_endpoint_auth_method: 'none' };
  }

  state = () => (this.expectedState = randomUUID());
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.stored;
  saveTokens = (tokens) => void (this.stored = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  discoveryState = () => this.discovered;
  saveDiscoveryState = (discovered) => void (this.discovered = discovered);
  redirectToAuthorization = (url) => void (this.authorizationUrl = url);

  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'client') this.client = undefined;
    if (scope === 'all' || scope === 'tokens') this.stored = undefined;
  }

  // The address the SDK asked for, once.
  takeAuthorizationUrl() {
    const url = this.authorizationUrl;
    this.authorizationUrl = undefined;
    return url;
  }
}
