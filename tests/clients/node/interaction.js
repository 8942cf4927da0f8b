// The pages where a user signs in and consents, for a user who agrees to everything at once.

export async function answerInteraction(provider, { user }, request, response) {
  try {
    const details = await provider.interactionDetails(request, response);
    const result =
      details.prompt.name === 'login'
        ? { login: { accountId: user } }
        : { consent: { grantId: await consent(provider, details) } };
    await provider.interactionFinished(request, response, result);
  } catch (error) {
    response.writeHead(500).end(String(error.stack));
  }
}

// What was granted before stays granted, and what is asked for now is added.
export async function consent(provider, { grantId, session, params, prompt }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}
