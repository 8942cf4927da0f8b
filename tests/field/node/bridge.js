// Puts a server that speaks stdio behind streamable HTTP: one process of the server for each session.
// Arguments: the server's program and its arguments. It listens at $PORT.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const [program, ...args] = process.argv.slice(2);
const sessions = new Map();

const isAnswer = (message) => 'id' in message && !('method' in message);

async function newSession() {
  const child = new StdioClientTransport({ command: process.execPath, args: [program, ...args], env: process.env });
  const http = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, session),
    onsessionclosed: (id) => sessions.delete(id),
  });
  const session = { http, early: [], listening: false };
  http.onmessage = (message) => child.send(message);
  http.onclose = () => child.close();
  child.onmessage = (message) => {
    if (isAnswer(message) || session.listening) return http.send(message);
    session.early.push(message);
  };
  await child.start();
  await http.start();
  return session;
}

// Until the client listens, the transport would drop what the server says of its own accord.
async function listens(session, response) {
  while (!response.headersSent) await sleep(1);
  session.listening = true;
  for (const message of session.early.splice(0)) await session.http.send(message);
}

async function handle(request, response) {
  const known = request.headers['mcp-session-id'];
  const session = known ? sessions.get(known) : await newSession();
  if (!session) return response.writeHead(404).end();
  if (request.method === 'GET') listens(session, response);
  await session.http.handleRequest(request, response);
}

createServer(handle).listen(process.env.PORT, '127.0.0.1');
