"""The resource: notes of accounts at its own provider, which it asks about every token (RFC 7662)."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


from ..harness import web
from ..clients.provider import Provider
from .providers import register

READ = "notes:read"
WRITE = "notes:write"
SCOPES = [READ, WRITE]

# Longer than the filter waits for the name of an account.
SLOW_S = 8


class NotesApi:
    """`GET /me`, `POST /graphql` with the same account, `POST /slow`, and `GET` and `POST /notes`. It refuses all
    requests before it has a provider, which its metadata (RFC 9728) names. It also accepts keys (`x-api-key`), user
    names with passwords (Basic, or in two headers), and the tokens in `accounts`.
    """

    # Keys and passwords, with the accounts they are for.
    KEYS = {"key-of-dana": "dana@keys", "key-of-ops": "ops@keys", "key-of-acme": "acme", "key-of-globex": "globex"}
    KEYS |= {"key-of-managers": "acme-managers", "key-of-tests": "tests@keys"}
    PASSWORDS = {"dana": ("pass: wörd", "dana@passwords"), "ops": ("ops: pass", "ops@passwords")}

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.accounts: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def trust(self, provider: Provider) -> None:
        """Accept this provider's tokens, when they are for this resource."""
        client = register(provider, redirect_uris=[], grant_types=[], response_types=[])
        self.issuers = [provider.issuer]
        self.introspection = f"{provider.issuer}/token/introspection"
        self.credentials = (client["client_id"], client["client_secret"])

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, headers: Message, body: str) -> tuple[int, Any]:
        """Status and JSON."""
        if path == "/.well-known/oauth-protected-resource":
            return 200, {"resource": self.url, "authorization_servers": self.issuers}
        known = self._known(headers)
        if known is None:
            return 401, {"error": "invalid_token"}
        account, scopes = known
        if (WRITE if method == "POST" else READ) not in scopes:
            return 403, {"error": "insufficient_scope"}
        match method, path:
            case "GET", "/me":
                return 200, {"account": account}
            case "GET", "/notes":
                return 200, {"account": account, "notes": self.notes[account]}
            case "POST", "/graphql":
                assert "viewer" in json.loads(body)["query"]
                return 200, {"data": {"viewer": {"email": account}}}
            case "POST", "/slow":
                time.sleep(SLOW_S)
                return 200, {"data": {"viewer": {"email": account}}}
            case "POST", "/notes":
                self.notes[account].append(json.loads(body)["text"])
                return 201, {"account": account}
        return 404, {"error": "not_found"}

    def _known(self, headers: Message) -> tuple[str, list[str]] | None:
        """The account of a request, and its scopes."""
        scheme, _, credential = (headers["authorization"] or "").partition(" ")
        if key := headers["x-api-key"]:
            return (self.KEYS[key], SCOPES) if key in self.KEYS else None
        if scheme == "Bearer" and credential in self.accounts:
            return self.accounts[credential], SCOPES
        if scheme == "Basic" or headers["x-user"]:
            both = base64.b64decode(credential).decode().partition(":")
            user, _, password = (headers["x-user"], "", headers["x-password"]) if headers["x-user"] else both
            expected, account = self.PASSWORDS.get(user, (None, ""))
            return (account, SCOPES) if password == expected else None
        token = self._about(credential)
        if not token["active"] or token.get("aud") != self.url:
            return None
        return token["sub"], token["scope"].split()

    def _about(self, token: str) -> dict[str, Any]:
        if not token:
            return {"active": False}
        answer = web.post(self.introspection, data={"token": token}, auth=self.credentials)
        # The provider answers 400 about tokens that are JWTs: none of this resource's is.
        return answer.json() if answer.status_code == 200 else {"active": False}

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                status, said = api.answer(self.command, self.path, self.headers, body)
                answer = json.dumps(said).encode()
                self.send_response(status)
                if status == 401:
                    self.send_header("www-authenticate", f'Bearer error="{said["error"]}"')
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _do

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
