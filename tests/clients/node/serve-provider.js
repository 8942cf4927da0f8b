// An OpenID provider for the tests, in a process of its own. It prints one JSON line for everything
// it does; the first one names its issuer.

import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

// `answerInteraction(provider, settings, request, response)` shows the pages where a user signs in and consents;
// `extend(provider)` teaches the provider more.
export async function serve(settings, configuration, answerInteraction, extend = () => {}) {
  const report = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
  console.info = console.warn;

  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const issuer = `http://${settings.host ?? '127.0.0.1'}:${server.address().port}`;
  const provider = new Provider(issuer, configuration(settings));

  extend(provider);
  provider.use(async (context, next) => {
    await next();
    report({
      event: 'request',
      method: context.method,
      path: context.path,
      status: context.status,
      parameters: { ...(context.oidc?.params ?? {}) },
      answer: context.path === '/token' || context.path === '/reg' ? context.body : undefined,
    });
  });

  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (request.url.startsWith('/interaction/')) {
      answerInteraction(provider, settings, request, response);
    } else {
      answer(request, response);
    }
  });

  report({ event: 'listening', issuer });
  // The tests hold the other end of this pipe: when they are gone, so is the provider.
  process.stdin.on('end', () => process.exit()).resume();
}
