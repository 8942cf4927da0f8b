"""Attacks on the pages, in real browsers: B42 of docs/threats.md."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from ..harness import web
from . import links
from .browser import PHONE, Person
from .connect import CONTINUE, connect, go_on, open_link
from .links import PAGES
from .providers import ACCOUNTS, HOSTILE
from .replicas import Replicas
from .sign_in import agree
from .sites import notes
from .stage import Stage

LONG = "W" * 200

TITLE = "</title><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&amp;"

SITES = {
    "notes": notes(),
    "hostile": notes(connection={"title": TITLE, "allows": [TITLE, LONG]}, metadata={"resource_name": TITLE}),
}

People = Callable[..., Person]
Links = Callable[..., str]

# What every page says of itself; the one style is the page's own.
POLICY = re.compile(
    r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; form-action 'self'; "
    r"frame-ancestors 'none'; base-uri 'none'"
)


@pytest.fixture
def link(around: Stage, pair: Replicas) -> Links:
    """The link for a user."""

    def made(user: str, site: str = "notes", **more: float) -> str:
        return links.link(pair.origin(site), around.login.issuer, user, **more)

    return made


@contextmanager
def stopped(person: Person, page: str) -> Iterator[list[str]]:
    """Inside, the browser stops before this page of the filter's; the addresses it would have gone to.

    Playwright's own routes do not see redirects.
    """
    found: list[str] = []
    devtools = person.run(person.context.new_cdp_session(person.page))
    answer = {"responseCode": 200, "body": base64.b64encode(b"stopped").decode()}

    def stop(event: Any) -> None:
        found.append(event["request"]["url"])
        request = {"requestId": event["requestId"], **answer}
        stopping.append(asyncio.ensure_future(devtools.send("Fetch.fulfillRequest", request)))

    async def begin() -> None:
        devtools.on("Fetch.requestPaused", stop)
        await devtools.send("Fetch.enable", {"patterns": [{"urlPattern": f"*{PAGES}{page}*"}]})

    stopping: list[Any] = []
    person.run(begin())
    yield found
    person.run(_all(stopping))
    person.run(devtools.detach())


async def _all(running: list[Any]) -> None:
    await asyncio.gather(*running)


def at_callback(person: Person, link: str, user: str) -> str:
    """Everything up to the way back from the resource; where that would have led to, with a code."""
    with stopped(person, "callback/") as found:
        open_link(person, link, user)
        go_on(person)
        agree(person, ACCOUNTS[user])
    [url] = found
    assert {"code", "state", "iss"} <= parameters(url).keys()
    return url


def at_signed_in(person: Person, link: str, user: str) -> str:
    """The same for the way back from signing in."""
    with stopped(person, "signed-in") as found:
        open_link(person, link, user)
    [url] = found
    return url


def parameters(url: str) -> dict[str, str]:
    """What is in its query."""
    return dict(parse_qsl(urlsplit(url).query))


def changed(url: str, /, **others: str | None) -> str:
    """An address with other parameters; None leaves one out."""
    query = {**parameters(url), **others}
    kept = {name: value for name, value in query.items() if value is not None}
    return urlsplit(url)._replace(query=urlencode(kept)).geturl()


def kept(stage: Stage, pair: Replicas) -> int:
    """How many accounts are kept."""
    entries = stage.etcd.entries()
    at = [(pair.origin(site), stage.login.issuer, user) for site in SITES for user in ACCOUNTS]
    return sum(links.account(entries, *each) is not None for each in at)


def refused(pair: Replicas, person: Person, url: str, status: int, reason: str) -> None:
    """A page that says no, for this reason."""
    with pair.logs(reason) as records:
        assert person.goto(url).status == status
    assert len(records) == 1 and records[0]["decision"] != "approved"


def b42_a_link_of_another_user_is_refused(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    """Signed in before, or by the link, or with a form of her own."""
    erin = person()
    open_link(erin, link("erin"), "erin")
    refused(pair, erin, link("dana"), 403, "other_user")
    assert not erin.has(CONTINUE) and "dana" not in erin.text()
    other = person()
    open_link(other, link("dana"), "erin")
    assert not other.has(CONTINUE)
    erin.goto(link("erin"))
    ticket = parameters(link("dana"))["ticket"]
    erin.run(erin.page.evaluate("ticket => document.querySelector('[name=ticket]').value = ticket", ticket))
    with pair.logs("other_user"):
        assert erin.click(CONTINUE).status == 403
    assert not around.resource.authorizations() and kept(around, pair) == 0


def b42_an_account_is_not_linked_after_another_user_signed_in(
    around: Stage, pair: Replicas, person: People, link: Links
) -> None:
    """The response belongs to a user who is no longer signed in in this browser."""
    shared = person()
    callback = at_callback(shared, link("dana"), "dana")
    shared.goto(link("erin"))
    shared.click("sign in as another user")
    agree(shared, "erin")
    refused(pair, shared, callback, 403, "other_user")
    assert kept(around, pair) == 0


@pytest.mark.parametrize("at_it", [False, True])
def b42_a_response_to_another_browsers_request_is_refused(
    around: Stage, pair: Replicas, person: People, link: Links, at_it: bool
) -> None:
    """Login forgery: the attacker's account for the victim. And the other way round, a stolen answer."""
    erin, dana = person(), person()
    if at_it:
        open_link(dana, link("dana"), "dana")
    signed_in = at_signed_in(person(), link("erin"), "erin")
    callback = at_callback(erin, link("erin"), "erin")
    around.login.reset()
    before = dana.cookies()
    for url in (signed_in, callback):
        refused(pair, dana, url, 403, "other_browser")
    assert dana.cookies() == before
    for provider in (around.login, around.resource):
        assert not provider.grants("authorization_code")
    # It is still good where it was begun.
    assert erin.goto(callback).status == 200 and kept(around, pair) == 1


def b42_an_injected_code_is_refused(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    """Code injection: the state is the browser's own, the code an attacker's. PKCE tells."""
    dana, erin = person(), person()
    own = at_callback(dana, link("dana"), "dana")
    code = parameters(at_callback(erin, link("erin"), "erin"))["code"]
    refused(pair, dana, changed(own, code=code), 502, "code_refused")
    refused(pair, dana, own, 400, "state_used")
    assert kept(around, pair) == 0


def b42_a_state_that_is_used_again_is_refused(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    """At both replicas; and a state of the sign-in is not accepted for the account."""
    dana, front = person(), pair.fronts["notes"]
    signed_in = at_signed_in(dana, link("dana"), "dana")
    front.use("a")
    assert dana.goto(signed_in).status == 200 and dana.has(CONTINUE)
    front.use("b")
    refused(pair, dana, signed_in, 400, "state_used")
    callback = at_callback(dana, link("dana"), "dana")
    refused(pair, dana, changed(callback, state=parameters(signed_in)["state"]), 400, "state_invalid")
    front.use("a")
    assert dana.goto(callback).status == 200
    front.use("b")
    said = dana.text()
    with pair.logs("connected_before"):
        assert dana.goto(changed(callback, again="1")).status == 200
    # It says what it said, and does nothing.
    assert dana.text() == said
    front.use()
    assert kept(around, pair) == len(around.resource.grants("authorization_code")) == 1


def b42_a_response_of_another_authorization_server_is_refused(
    around: Stage, pair: Replicas, person: People, link: Links
) -> None:
    """Mix-up (RFC 9207): nothing is redeemed, and the right answer is still good afterwards."""
    dana = person()
    callback = at_callback(dana, link("dana"), "dana")
    for iss in (around.login.issuer, None, "", f"{around.resource.issuer}/"):
        refused(pair, dana, changed(callback, iss=iss), 400, "issuer_mismatch")
    refused(pair, dana, callback.replace("/callback/notes", "/callback/other"), 400, "issuer_mismatch")
    assert not around.resource.grants("authorization_code") and kept(around, pair) == 0
    assert dana.goto(callback).status == 200 and kept(around, pair) == 1


def b42_error_texts_of_authorization_servers_are_not_shown(
    around: Stage, pair: Replicas, person: People, link: Links
) -> None:
    dana = person()
    callback = changed(at_callback(dana, link("dana"), "dana"), code=None)
    said = {"error_description": TITLE, "error_uri": around.landing.url}
    refused(pair, dana, changed(callback, error="server_error", **said), 400, "authorization_failed")
    assert "owned" not in dana.text() and count(dana, "a, script, img") == 0
    refused(pair, dana, changed(callback, error="access_denied", **said), 403, "connection_declined")
    assert kept(around, pair) == 0


def b42_no_parameter_of_a_request_redirects(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    """Open redirect: what is added changes nothing, and other paths are no pages."""
    dana, origin, elsewhere = person(), pair.origin("notes"), around.landing.url
    callback = at_callback(dana, link("dana"), "dana")
    names = ("next", "url", "redirect", "redirect_uri", "return_to", "continue", "target", "authorize")
    more = dict.fromkeys(names, elsewhere)
    for url in (link("dana"), link("dana").replace("/connect?", "/sign-in?")):
        hosts = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
        answer = web.get(changed(url, **more), headers=hosts)
        to = answer.headers["location"]
        assert to.partition("?")[0] == f"{around.login.issuer}/auth"
        assert parameters(to)["redirect_uri"] == f"{origin}{PAGES}signed-in"
        assert "evil.example" not in to and elsewhere not in parameters(to).values()
    assert dana.goto(changed(callback, **more)).status == 200
    assert dana.url().startswith(origin) and count(dana, "a") == 0
    for path in ("/evil.example", "//evil.example", "callback/", "connect/", "..%2fmcp", "https://evil.example"):
        answer = web.get(f"{origin}{PAGES}{path}")
        assert answer.status_code in (400, 404) and "location" not in answer.headers, path


def b42_a_form_from_another_origin_is_refused(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    """A page of the same site, so that the browser sends its cookies, and with every field known."""
    dana = person()
    open_link(dana, link("dana"), "dana")
    fields = {name: dana.run(dana.page.locator(f"[name={name}]").input_value()) for name in ("ticket", "form")}
    inputs = "".join(f"<input type=hidden name={name} value='{value}'>" for name, value in fields.items())
    target = f"{pair.origin('notes')}{PAGES}connect"
    dana.goto(around.landing.url)
    dana.run(dana.page.set_content(f"<form method=post action='{target}'>{inputs}<button>Win</button></form>"))
    with pair.logs("origin_not_allowed"):
        assert dana.click("Win").status == 403
    assert not around.resource.authorizations()


def b42_pages_are_not_shown_in_frames(around: Stage, person: People, link: Links) -> None:
    """Of the same site, where the browser sends its cookies, and of another one."""
    dana, url = person(), link("dana")
    open_link(dana, url, "dana")
    assert dana.has(CONTINUE)
    for outside in (around.landing.url, f"{around.login.issuer}/.well-known/openid-configuration"):
        dana.goto(outside)
        dana.run(dana.page.set_content(f"<iframe src='{url}'></iframe>", wait_until="load"))
        [inside] = [each for each in dana.page.frames if each != dana.page.main_frame]
        assert "Notes" not in dana.run(inside.content())


def b42_markup_in_names_is_shown_as_text(around: Stage, person: People, link: Links) -> None:
    """A user, an account, a server and a resource whose names are scripts."""
    eve, dialogs = person(), []
    eve.on("dialog", lambda dialog: dialogs.append(dialog.message))
    open_link(eve, link(HOSTILE, "hostile"), HOSTILE)
    assert eve.text().count(TITLE) >= 4 and HOSTILE in eve.text()
    assert count(eve, "script, img") == 0 and count(eve, "form") == 1
    # Long as they are, they fit on a phone.
    assert eve.run(eve.page.evaluate("document.documentElement.scrollWidth")) == PHONE["width"]
    eve.click(f"Continue to {TITLE}")
    eve.run(eve.page.wait_for_url(f"{around.resource.issuer}/**"))
    agree(eve, ACCOUNTS[HOSTILE])
    assert f"{TITLE} is connected" in eve.text() and ACCOUNTS[HOSTILE] in eve.text()
    assert count(eve, "script, img") == 0
    eve.goto(link("dana", "hostile"))
    assert HOSTILE in eve.text() and count(eve, "script, img") == 0
    assert eve.run(eve.page.title()) == "This link is for another user" and not dialogs


def count(person: Person, selector: str) -> int:
    """How many of these elements the page has."""
    return person.run(person.page.locator(selector).count())


def b42_back_and_reload_repeat_nothing(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    dana = person()
    connect(dana, link("dana"), "dana")
    before = around.etcd.entries()
    with pair.logs("connected_before"):
        dana.run(dana.page.reload())
    for _ in range(3):
        dana.run(dana.page.go_back())
        assert "is connected" not in dana.text()
    assert before.items() <= around.etcd.entries().items()
    assert kept(around, pair) == len(around.resource.grants("authorization_code")) == 1


def b42_expired_and_foreign_links_are_refused(around: Stage, pair: Replicas, person: People, link: Links) -> None:
    dana, good = person(), link("dana")
    ticket = parameters(good)["ticket"]
    flipped = ticket[:20] + ("A" if ticket[20] != "A" else "B") + ticket[21:]
    of_another_server = parameters(link("dana", "hostile"))["ticket"]
    wrong = [changed(good, ticket=each) for each in (flipped, of_another_server, "", None)]
    for url in (link("dana", expires=-1), *wrong):
        refused(pair, dana, url, 400, "link_invalid")
    refused(pair, dana, f"{good}&ticket={ticket}", 400, "page_request_incomplete")
    assert not dana.cookies()


def b42_every_page_has_strict_headers_and_no_secret_is_logged(
    around: Stage, pair: Replicas, person: People, link: Links
) -> None:
    dana, origin = person(), pair.origin("notes")
    visited: list[str] = []
    pages: list[Any] = []

    def note(response: Any) -> None:
        visited.append(response.url)
        if response.url.startswith(origin) and response.request.is_navigation_request():
            pages.append(response)

    dana.on("response", note)
    connect(dana, link("dana"), "dana")
    callback = next(url for url in visited if "/callback/" in url)
    assert dana.goto(f"{callback}&again=1").status == 200
    refused(pair, dana, link("erin"), 403, "other_user")
    refused(pair, dana, link("dana", expires=-1), 400, "link_invalid")
    statuses = [page.status for page in pages]
    assert sorted(statuses) == [200, 200, 200, 200, 303, 303, 400, 403]
    for page in pages:
        headers = dana.run(page.all_headers())
        assert POLICY.fullmatch(headers["content-security-policy"]), headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "same-origin"
    for url in (link("dana"), link("erin"), link("dana", expires=-1)):
        dana.goto(url)
        assert not re.search(r"<script|\son\w+\s*=|javascript:|src=|<link", dana.run(dana.page.content()))
    values = [value for url in visited for each in parse_qs(urlsplit(url).query).values() for value in each]
    values += [cookie["value"] for cookie in dana.cookies().values()]
    secret = {value for value in values if len(value) >= 20 and not value.startswith("http")}
    logs = pair.log() + "".join(each.access_path.read_text() for each in pair.envoys.values())
    assert len(secret) > 8 and "connected" in logs
    assert not [value for value in secret if value in logs]
