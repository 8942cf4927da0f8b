"""An OpenID provider that does as a test says: its user is signed in already, since when the test says, and agrees to all.
The real providers of these tests do as they should.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..harness import tokens
from ..harness.keys import key, key_set

# Where it is, by the names of its metadata.
ENDPOINTS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "revocation_endpoint": "/revoke",
    "jwks_uri": "/jwks",
}


class SimpleProvider:
    """Its accounts are named `<user>@simple`. `accounts` has the account of each token that is valid."""

    def __init__(self, accounts: dict[str, str]) -> None:
        self.accounts = accounts
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]
        # Another site to the browser than the filter.
        self.issuer = f"http://localhost:{self.port}"
        self.reset()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self) -> None:
        """Forget what was noted. The user has just signed in."""
        self.user, self.signed_in_ago_s = "dana", 0
        self.codes: dict[str, dict[str, str]] = {}
        # The requests: their paths, and their parameters.
        self.requests: list[tuple[str, dict[str, str]]] = []

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def asked(self, path: str) -> list[dict[str, str]]:
        """The parameters of all requests at a path."""
        return [parameters for at, parameters in self.requests if at == path]

    def caller_token(self, user: str, resource: str, scope: str) -> str:
        """An access token for the MCP server."""
        about = {"aud": resource, "scope": scope, "realm_access": {"roles": ["support"]}, "client_id": "chat"}
        return tokens.encode({**self._claims(user), **about}, {"typ": "at+jwt"})

    def answer(self, path: str, parameters: dict[str, str], bearer: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON; with status 302 where to go."""
        self.requests.append((path, parameters))
        match path:
            case "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server":
                return 200, {
                    "issuer": self.issuer,
                    **{name: f"{self.issuer}{at}" for name, at in ENDPOINTS.items()},
                    "response_types_supported": ["code"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none"],
                    "scopes_supported": ["openid", "email"],
                }
            case "/jwks":
                return 200, key_set(key("ES256"))
            case "/authorize":
                code = secrets.token_urlsafe(16)
                self.codes[code] = parameters
                back = urlencode({"code": code, "state": parameters["state"], "iss": self.issuer})
                return 302, {"location": f"{parameters['redirect_uri']}?{back}"}
            case "/token":
                return self._redeemed(parameters)
            case "/userinfo" if bearer in self.accounts:
                return 200, {"sub": self.user, "contact": {"email": self.accounts[bearer]}}
            case "/revoke":
                self.accounts.pop(parameters["token"], None)
                return 200, {}
        return (401 if path == "/userinfo" else 404), {"error": "invalid_token"}

    def _redeemed(self, parameters: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(parameters.get("code", ""), None)
        verifier = hashlib.sha256(parameters.get("code_verifier", "").encode()).digest()
        if asked is None or base64.urlsafe_b64encode(verifier).decode().rstrip("=") != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access_token = tokens.remember(secrets.token_urlsafe(24))
        self.accounts[access_token] = f"{self.user}@simple"
        claims = {"aud": asked["client_id"], "auth_time": int(time.time()) - self.signed_in_ago_s}
        if nonce := asked.get("nonce"):
            claims["nonce"] = nonce
        id_token = tokens.encode({**self._claims(self.user), **claims})
        return 200, {"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    def _claims(self, user: str) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.issuer, "sub": user, "iat": now, "exp": now + 600}

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                at = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                parameters = dict(parse_qsl(at.query) + parse_qsl(body))
                bearer = (self.headers["authorization"] or "").removeprefix("Bearer ")
                status, said = provider.answer(at.path, parameters, bearer)
                answer = b"" if status == 302 else json.dumps(said).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("location", said["location"])
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _do

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
