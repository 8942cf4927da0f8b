"""A small authorization server for the demo: keys, metadata, and a token for every request.

Run it with `python -m demo.issuer --port 9000`. Its keys are made at start and live in memory. Real
issuers ask for a password; apart from that, the tokens and the key set are what they serve.
"""

import argparse
import secrets
import time
import uuid
from typing import Any

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.people import PEOPLE, Person

LIFETIME = 3600


def claims_of(person: Person) -> dict[str, Any]:
    """The claims that say who the caller is and what it may do."""
    return {
        "sub": person.user,
        "name": person.name,
        "org_id": person.organization,
        "realm_access": {"roles": list(person.roles)},
        "scope": " ".join(person.scopes),
        "client_id": "demo-assistant",
    }


class Issuer:
    """Signs access tokens (RFC 9068) and publishes the keys to check them with."""

    def __init__(self, url: str, resource: str) -> None:
        self.url = url
        self.resource = resource
        ec = ECKey.generate_key("P-256", described("ES256"))
        ed = OKPKey.generate_key("Ed25519", described("EdDSA"))
        # The first key signs; the second is there so that checking has to choose by `kid`.
        self._signing = ec
        self._keys = KeySet([ec, ed])

    def token(self, person: Person, resource: str) -> str:
        """An access token for `person`, good for `resource` only."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": resource,
            **claims_of(person),
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + LIFETIME,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self._signing.kid}
        return jwt.encode(header, claims, self._signing, algorithms=["ES256"])

    async def serve_keys(self, _: Request) -> JSONResponse:
        return JSONResponse(self._keys.as_dict(private=False))

    async def serve_metadata(self, _: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
                "token_endpoint": f"{self.url}/token",
                "response_types_supported": [],
                "scopes_supported": ["crm:read", "crm:write"],
            }
        )

    async def serve_token(self, request: Request) -> JSONResponse:
        form = await request.form()
        person = PEOPLE.get(str(form.get("person")))
        if person is None:
            known = ", ".join(PEOPLE)
            error = {"error": "invalid_grant", "error_description": f"person is one of: {known}"}
            return JSONResponse(error, status_code=400)
        resource = str(form.get("resource") or self.resource)
        answer = {
            "access_token": self.token(person, resource),
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": " ".join(person.scopes),
        }
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    async def serve_health(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    def app(self) -> Starlette:
        """The issuer as a web application."""
        return Starlette(
            routes=[
                Route("/jwks", self.serve_keys),
                Route("/.well-known/openid-configuration", self.serve_metadata),
                Route("/.well-known/oauth-authorization-server", self.serve_metadata),
                Route("/token", self.serve_token, methods=["POST"]),
                Route("/healthz", self.serve_health),
            ]
        )


def described(algorithm: str) -> dict[str, str]:
    """What a key set says of a key. New keys have new ids, so that caches notice them."""
    return {"use": "sig", "alg": algorithm, "kid": secrets.token_hex(4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--issuer", help="the issuer's name; default: its own address")
    parser.add_argument("--resource", default="http://127.0.0.1:10000/mcp", help="default audience")
    args = parser.parse_args()
    issuer = Issuer(args.issuer or f"http://{args.host}:{args.port}", args.resource)
    uvicorn.run(issuer.app(), host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
