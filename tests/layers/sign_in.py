"""The authorization code flow with PKCE, with a person at the browser."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from ..harness import web
from ..clients.provider import Provider
from .browser import Person
from .providers import PASSWORD


@dataclass(frozen=True)
class Client:
    """A client program at one provider: how it is known there, and where it is sent back to."""

    provider: Provider
    registration: dict[str, Any]
    redirect_uri: str
    # Makes a proof for an address, to have tokens bound to its key (RFC 9449).
    proof: Callable[[str], str] | None = None

    def tokens(self, person: Person, user: str, **parameters: str) -> dict[str, Any]:
        """Let the user sign in and consent; the token response."""
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        person.goto(self.authorization_url(verifier, state, **parameters))
        agree(person, user)
        back = dict(parse_qsl(urlsplit(person.url()).query))
        assert (back.get("state"), back.get("iss")) == (state, self.provider.issuer), person.url()
        return self.redeem(code=back["code"], code_verifier=verifier)

    def authorization_url(self, verifier: str, state: str, **parameters: str) -> str:
        """Where the person has to go."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "client_id": self.registration["client_id"],
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            **parameters,
        }
        return f"{self.provider.issuer}/auth?{urlencode(asked)}"

    def redeem(self, **parameters: str) -> dict[str, Any]:
        """Redeem a code."""
        grant = {"grant_type": "authorization_code", "redirect_uri": self.redirect_uri, **parameters}
        return self._post("/token", grant).json()

    def revoke(self, token: str) -> None:
        """Tell the provider that a token is not needed any more (RFC 7009)."""
        self._post("/token/revocation", {"token": token})

    def _post(self, path: str, form: dict[str, str]) -> httpx.Response:
        name, secret = self.registration["client_id"], self.registration.get("client_secret")
        known: dict[str, Any] = {"auth": (name, secret)} if secret else {}
        form = form if secret else {"client_id": name, **form}
        url = f"{self.provider.issuer}{path}"
        headers = {"dpop": self.proof(url)} if self.proof else {}
        answer = web.post(url, data=form, headers=headers, **known)
        assert answer.status_code == 200, answer.text
        return answer


@dataclass(frozen=True)
class Visitor:
    """The browser of a client program (see `clients.program`), and the user who signs in."""

    person: Person
    user: str

    def visit(self, url: str) -> str:
        """Go where the client asks to; the address that led to."""
        self.person.goto(url)
        agree(self.person, self.user)
        return self.person.url()


def agree(person: Person, user: str) -> None:
    """Complete the provider's pages: sign-in and consent, if they are shown."""
    if person.has("Sign in"):
        person.fill("User name", user)
        person.fill("Password", PASSWORD)
        person.click("Sign in")
    if person.has("Allow"):
        person.click("Allow")


def sign_out(person: Person, provider: Provider) -> None:
    """End the user's session at a provider."""
    person.goto(f"{provider.issuer}/session/end")
    person.click("Yes, sign me out")
