// The pages where people sign in and consent, with a form each and no script.

import { text } from 'node:stream/consumers';
import { consent } from './interaction.js';

export async function answerWithPages(provider, settings, request, response) {
  try {
    const details = await provider.interactionDetails(request, response);
    const client = await provider.Client.find(details.params.client_id);
    if (request.method !== 'POST') return show(response, page(settings, client, details));
    const form = new URLSearchParams(await text(request));
    const result = await decide(provider, settings, details, form);
    if (!result) return show(response, page(settings, client, details, 'Wrong name or password.'));
    await provider.interactionFinished(request, response, result);
  } catch (error) {
    response.writeHead(500).end(String(error.stack));
  }
}

async function decide(provider, { users }, details, form) {
  if (form.get('choice') === 'deny') return { error: 'access_denied' };
  if (details.prompt.name === 'consent') return { consent: { grantId: await consent(provider, details) } };
  const name = form.get('user');
  // A user who signs in has also chosen an account.
  const login = { accountId: name, acr: users[name]?.acr };
  return users[name]?.password === form.get('password') && { login, select_account: {} };
}

function page({ name }, client, { prompt, params, session }, problem = '') {
  const [title, fields, choice] =
    prompt.name !== 'consent'
      ? [`Sign in to ${name}`, SIGN_IN, 'Sign in']
      : [`${escape(client.clientName ?? client.clientId)} asks`, `<p>For ${escape(session.accountId)}: ${escape(params.scope)}</p>`, 'Allow'];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width">
<h1>${title}</h1><p role="alert">${problem}</p>
<form method="post">${fields}
<button name="choice" value="agree">${choice}</button> <button name="choice" value="deny">Cancel</button></form>`;
}

const SIGN_IN = `<p><label>User name <input name="user" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p>`;

function show(response, html) {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
}

function escape(value = '') {
  return String(value).replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);
}
