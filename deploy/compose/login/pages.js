// The pages where users sign in and agree, with a form each and no script.

import { text } from 'node:stream/consumers';
import { people } from './configuration.js';

const PASSWORD = 'demo';

export async function answerPage(provider, request, response) {
  try {
    const details = await provider.interactionDetails(request, response);
    const client = await provider.Client.find(details.params.client_id);
    if (request.method !== 'POST') return show(response, page(client, details));
    const form = new URLSearchParams(await text(request));
    const result = await decide(provider, details, form);
    if (!result) return show(response, page(client, details, 'Wrong name or password.'));
    await provider.interactionFinished(request, response, result);
  } catch (error) {
    console.error(error);
    response.writeHead(400, { 'content-type': 'text/plain' }).end('This sign-in has ended. Begin again in your client.\n');
  }
}

async function decide(provider, details, form) {
  if (form.get('choice') === 'deny') return { error: 'access_denied' };
  if (details.prompt.name === 'consent') return { consent: { grantId: await grant(provider, details) } };
  const person = Object.hasOwn(people, form.get('user')) && people[form.get('user')];
  return person && form.get('password') === PASSWORD && { login: { accountId: person.sub } };
}

// What was granted before stays granted, and what is asked for now is added.
async function grant(provider, { grantId, session, params, prompt }) {
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}

function page(client, { prompt, params }, problem = '') {
  const name = escape(client.clientName ?? client.clientId);
  const [title, fields, choice] =
    prompt.name === 'login'
      ? ['Sign in', SIGN_IN, 'Sign in']
      : [`${name} asks for access`, `<p>To the CRM, as you: ${escape(params.scope ?? '')}</p>`, 'Allow'];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 24rem; margin: 10vh auto; padding: 0 1rem }
input { display: block; width: 100%; font: inherit; padding: .4rem; box-sizing: border-box }
button { font: inherit; padding: .4rem 1rem; margin-right: .5rem }
[role=alert] { color: #c00 }
</style>
<h1>${title}</h1><p role="alert">${problem}</p>
<form method="post">${fields}
<button name="choice" value="agree">${choice}</button><button name="choice" value="deny" formnovalidate>Cancel</button></form>`;
}

const KNOWN = Object.entries(people).map(([user, { name, title }]) => `<li><b>${user}</b>: ${name}, ${title}`);
const SIGN_IN = `<p><label>User name <input name="user" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<details><summary>The users of the demo</summary><p>Each has the password <b>${PASSWORD}</b>.</p><ul>${KNOWN.join('')}</ul></details>`;

function show(response, html) {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  };
  response.writeHead(200, headers).end(html);
}

function escape(value) {
  return String(value).replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
