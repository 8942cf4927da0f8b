"""The demo's attacks for users who sign in on a page: `docker compose run --rm attacks`.

It registers as an MCP client does, opens the pages of the authorization server as a browser does, and makes the calls
with the token. One call waits until its user allowed it on a page of the filter. Exits with 0 only if the honest calls
worked and every attack failed.
"""

import argparse
import asyncio
import base64
import hashlib
import html
import re
import secrets
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from demo.attacks import LIES, MISTAKES, Attack, tool
from demo.calls import assistant
from demo.people import DANA, PEOPLE, Person

PASSWORD = "demo"
# Nothing listens there: the code is read from the redirect.
REDIRECT = "http://127.0.0.1:33418/callback"
MAX_PAGES = 20

# An honest call, and a call that its user has to confirm on a page.
OWN = tool("crm.search_customers")
REFUND = tool("crm.refund", customer_id="c-100", amount=20)

Addresses = Mapping[str, str]


class SignInError(RuntimeError):
    """The sign-in did not end as it should."""


class Elsewhere(httpx2.AsyncHTTPTransport):
    """Connects to other addresses than those in URLs, as `curl --connect-to` does."""

    def __init__(self, addresses: Addresses) -> None:
        super().__init__()
        self._addresses = addresses

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if address := self._addresses.get(request.url.netloc.decode()):
            host, _, port = address.partition(":")
            # The client keeps the request: its cookies belong to the address in the URL.
            request = httpx2.Request(
                request.method,
                request.url.copy_with(host=host, port=int(port)),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return await super().handle_async_request(request)


@dataclass(frozen=True)
class Site:
    """An MCP server behind the filter, and where its addresses are."""

    url: str
    addresses: Addresses

    def browser(self) -> httpx2.AsyncClient:
        """A client with its own cookies. On a loopback address it sends secure ones without TLS, as browsers do."""
        policy = DefaultCookiePolicy(secure_protocols=("http", "https"))
        return httpx2.AsyncClient(transport=Elsewhere(self.addresses), cookies=CookieJar(policy), timeout=30)


async def sign_in(site: Site, person: Person) -> str:
    """An access token, obtained as an MCP client obtains it."""
    async with site.browser() as browser:
        challenged = await browser.post(site.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        named = re.search(r'resource_metadata="([^"]+)"', challenged.headers.get("www-authenticate", ""))
        if not named:
            raise SignInError(f"{site.url} answers {challenged.status_code} without a challenge")
        resource = (await browser.get(named[1])).json()
        issuer = resource["authorization_servers"][0]
        server = (await browser.get(f"{issuer}/.well-known/openid-configuration")).json()
        client = await registered(browser, server["registration_endpoint"])
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        state = secrets.token_urlsafe(16)
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": REDIRECT,
            "scope": " ".join(["openid", *person.scopes]),
            "resource": resource["resource"],
            "state": state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        page = f"{server['authorization_endpoint']}?{urllib.parse.urlencode(asked)}"
        back = await through_pages(browser, page, person)
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))
        if answer.get("state") != state or "code" not in answer:
            raise SignInError(f"the authorization server answers {answer}")
        form = {
            "grant_type": "authorization_code",
            "client_id": client,
            "redirect_uri": REDIRECT,
            "code": answer["code"],
            "code_verifier": verifier,
            "resource": resource["resource"],
        }
        token = (await browser.post(server["token_endpoint"], data=form)).json()
        return str(token["access_token"])


async def registered(browser: httpx2.AsyncClient, endpoint: str) -> str:
    """The id of a new public client (RFC 7591)."""
    metadata = {
        "client_name": "Demo assistant",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }
    return str((await browser.post(endpoint, json=metadata)).json()["client_id"])


async def through_pages(browser: httpx2.AsyncClient, url: str, person: Person) -> str:
    """Sends the form of each page, as a browser does; the URL where the client gets its answer, or the last page."""
    request = browser.build_request("GET", url)
    for _ in range(MAX_PAGES):
        answer = await browser.send(request)
        here = str(request.url)
        if answer.is_redirect:
            there = urllib.parse.urljoin(here, answer.headers["location"])
            if there.startswith(REDIRECT):
                return there
            request = browser.build_request("GET", there)
        elif "<form" in answer.text:
            action, form = filled(answer.text, person)
            origin = {"origin": here.partition("/")[0] + "//" + here.split("/")[2], "sec-fetch-site": "same-origin"}
            request = browser.build_request("POST", urllib.parse.urljoin(here, action), data=form, headers=origin)
        elif answer.is_success:
            return answer.text
        else:
            raise SignInError(f"{here} answers {answer.status_code}: {answer.text[:300]}")
    raise SignInError("the pages do not end")


def filled(page: str, person: Person) -> tuple[str, dict[str, str]]:
    """Where the form of a page goes, and what the person sends: name, password, and the first button."""
    known = {"user": person.key, "password": PASSWORD}
    [form] = re.findall(r"<form.*?</form>", page, re.DOTALL)
    action = re.search(r'^<form[^>]* action="([^"]*)"', form)
    sent = {}
    for attributes in re.findall(r"<input ([^>]*)>", form) + re.findall(r"<button ([^>]*)>", form)[:1]:
        named = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', attributes)}
        if "name" in named:
            sent[named["name"]] = known.get(named["name"], named.get("value", ""))
    return action[1] if action else "", sent


async def confirm(site: Site, person: Person, page: str) -> None:
    """Opens the page of a confirmation, signs in there, and allows the call."""
    async with site.browser() as browser:
        last = await through_pages(browser, page, person)
    if "You allowed it" not in last:
        raise SignInError(f"the page does not say that the call is allowed: {last[:300]}")


async def attempt(site: Site, attack: Attack, token: str) -> bool:
    """Makes the call of an attack; whether it failed."""
    async with assistant(site.url, token, transport=Elsewhere(site.addresses)) as caller:
        answer = await caller.make(attack.call)
    failed = attack.proof not in answer.text
    print(f"  {'stopped' if failed else attack.damage:8} {attack.title}")
    return failed


async def tell(site: Site) -> bool:
    """Signs each person in, and makes the calls; true if all ended as they should."""
    tokens: dict[str, Any] = {}
    for person in PEOPLE.values():
        tokens[person.key] = await sign_in(site, person)
        print(f"{person.name} signed in")
    async with assistant(site.url, tokens[DANA.key], transport=Elsewhere(site.addresses)) as dana:
        own, asked = await dana.make(OWN), await dana.make(REFUND)
        page = re.search(r"http://[^\s\"\\]+/\.mcp-auth/[^\s\"\\]+", asked.text)
        if not page:
            raise SignInError(f"the refund is not asked about: {asked.text}")
        print("Dana's refund waits for her confirmation on a page")
        await confirm(site, DANA, page[0])
        refund = await dana.make(REFUND)
    honest = "Initech" in own.text and '"refunded"' in refund.text
    print(f"Dana confirmed it: {refund.text}")
    print("The attacks:")
    stopped = [await attempt(site, attack, tokens[attack.person.key]) for attack in (*LIES, *MISTAKES)]
    print(f"{sum(stopped)} of {len(stopped)} are stopped")
    return honest and all(stopped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:10000/mcp", help="the MCP server behind the filter")
    parser.add_argument(
        "--connect", action="append", default=[], metavar="HOST:PORT=HOST:PORT", help="an address in URLs, and where it is"
    )
    args = parser.parse_args()
    addresses = dict(each.split("=", 1) for each in args.connect)
    try:
        return 0 if asyncio.run(tell(Site(args.url, addresses))) else 1
    except* SignInError as errors:
        for error in errors.exceptions:
            print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
