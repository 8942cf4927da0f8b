"""Attacks on linked accounts and confirmations: A1 to A8 of docs/threats.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mcp import MCPError

from ..harness import web
from ..harness.waiting import eventually
from . import links
from .agree_page import ALLOW, open_page
from .agree_page import asked as asked_to_agree
from .assistant import LEGACY, Assistant
from .browser import Person
from .connect import asked, connect, open_link
from .providers import ACCOUNTS
from .replicas import Replicas
from .sign_in import sign_out
from .sites import notes
from .stage import Stage
from .test_agree import TOOL, careful
from .test_attacks import at_callback

TOLD = {"back_channel_logout": True}

SITES = {
    "notes": notes(),
    "stateless": notes("notes_stateless"),
    "shared": notes("notes_stateless", vault={"clients": "shared"}),
    "memory": notes(store="memory", sign_in=TOLD),
    "agree": careful("notes_stateless"),
    "tools": notes("notes_stateless", auth_tools=True),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def test_a1_an_account_and_a_yes_are_for_one_client(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    dana, held = person(), token("dana", "stateless")
    first, second = assistant("dana", "stateless", with_token=held), assistant("dana", "stateless")
    link = asked(first)
    open_link(dana, link, "dana")
    assert links.client_of(held) in dana.text()
    with pair.logs("connected") as records:
        connect(dana, link, "dana")
    assert [each["client"] for each in records] == [links.client_of(held)]
    assert first.notes()["account"] == ACCOUNTS["dana"]
    assert asked(second)
    one, other = assistant("dana", "shared"), assistant("dana", "shared")
    connect(person(), asked(one), "dana")
    assert one.notes() == other.notes()
    # A yes in the same way.
    erin, held = person(), token("erin", "agree")
    first, second = assistant("erin", "agree", with_token=held), assistant("erin", "agree")
    open_page(erin, asked_to_agree(first, TOOL, customer="acme"), "erin")
    assert links.client_of(held) in erin.text()
    erin.click(ALLOW)
    assert asked_to_agree(second, TOOL, customer="acme")
    assert not first.call(TOOL, customer="acme").is_error


def test_a2_what_ends_accounts_has_room(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    """A flood of questions and codes fills neither etcd nor the memory in which sign-outs are noted."""

    def leases() -> int:
        return len(around.etcd.ask("lease/leases").get("leases", []))

    before = leases()
    front = pair.fronts["memory"]
    front.use("a")
    dana, client = person(), assistant("dana", "memory")
    connect(dana, asked(client), "dana")
    for number in range(300):
        link = links.link(pair.origin("memory"), around.login.issuer, f"made-up-{number}")
        for _ in range(3):
            redeem_made_up(link)
    with pair.logs("logged_out") as told:
        sign_out(dana, around.login)
    assert [each["http.response.status_code"] for each in told] == [200]
    assert asked(client)
    # In etcd, one user has few questions, and all records share few leases.
    client = assistant("erin", "agree")
    outcomes = [refused_or_asked(client, number) for number in range(200)]
    assert 100 <= outcomes.count("asked") <= 140 and outcomes[-1] == "full"
    # The records of a worker that end in the same minute share one. Without that there are 100 more.
    assert leases() - before < 50


def refused_or_asked(client: Assistant, number: int) -> str:
    """What becomes of a call that has to be confirmed."""
    try:
        return "asked" if asked_to_agree(client, TOOL, customer=f"customer {number}") else ""
    except Exception as error:  # noqa: BLE001
        assert "full" in str(error) or "503" in str(error), error
        return "full"


def test_a3_all_arguments_are_on_the_page_and_a_double_click_does_not_agree(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin = assistant("erin", "agree"), person(viewport={"width": 360, "height": 640})
    padding = "lorem ipsum " * 330
    link = asked_to_agree(client, TOOL, customer=padding, note="to: eve")
    open_page(erin, link, "erin")
    text = erin.text()
    assert text.index("to: eve") < 1000 and padding.strip() in text
    # At once, as the second click of a double click would come.
    box = erin.run(erin.page.get_by_role("button", name=ALLOW).bounding_box())
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def click_at_once() -> None:
        await erin.page.mouse.move(0, 0)
        await erin.page.reload()
        await erin.page.evaluate("([x, y]) => window.scrollTo(0, 0)", [x, y])
        await erin.page.mouse.dblclick(x, y)

    erin.run(click_at_once())
    assert ALLOW in erin.text()
    erin.click(ALLOW)
    assert "You allowed it" in erin.text()
    with pytest.raises(MCPError, match="too long to be shown"):
        client.call(TOOL, customer="x" * 20_000)


def test_a5_a_callback_after_its_session_was_deleted_links_nothing(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str]
) -> None:
    dana, held = person(), token("dana")
    client = Assistant(pair.fronts["notes"].port, held, LEGACY)
    callback = at_callback(dana, asked(client), "dana")
    # The client ends the session as it leaves.
    client.close()
    with pair.logs("conversation_ended"):
        assert dana.goto(callback).status == 410
    [granted] = around.resource.grants("authorization_code")
    around.wait_until_refused(granted.answer["access_token"])
    assert "Nothing was connected" in dana.text()


def redeem_made_up(link: str) -> tuple[int, str]:
    """Open a link, and come back from the provider without having been there: the status and the page."""
    with httpx.Client() as browser:
        away = browser.get(link)
        location = urlsplit(away.headers["location"])
        state = parse_qs(location.query)["state"][0]
        cookie = away.headers["set-cookie"].partition(";")[0]
        back = f"{link.partition('/.mcp-auth/')[0]}/.mcp-auth/signed-in"
        answer = browser.get(back, params={"code": "made-up", "state": state}, headers={"cookie": cookie})
        return answer.status_code, answer.text


def test_a6_few_made_up_codes_reach_the_provider_and_no_page_cookie_reaches_the_server(
    around: Stage, pair: Replicas, token: Callable[..., str]
) -> None:
    held = token("dana")
    around.login.reset()
    link = links.link(pair.origin("notes"), around.login.issuer, "dana")
    with pair.logs("too_many_tries"):
        statuses = [redeem_made_up(link)[0] for _ in range(12)]
    assert statuses[8:] == [429] * 4 and 429 not in statuses[:8]
    assert len(around.login.grants("authorization_code")) <= 8
    # A cookie of the pages.
    around.server.reset()
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize()}
    headers = {
        "authorization": f"Bearer {held}",
        "accept": "application/json, text/event-stream",
        "cookie": "theme=dark; __Host-mcp-auth=secret; __Host-mcp-auth-flow=secret",
    }
    web.post(f"http://127.0.0.1:{pair.fronts['notes'].port}/mcp", json=body, headers=headers)
    eventually(lambda: bool(around.server.headers), "the server got the request")
    assert not any("mcp-auth" in each.get("cookie", "") for each in around.server.headers)


def initialize() -> dict[str, Any]:
    """The parameters of the first request."""
    return {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


def test_a7_the_names_of_records_say_nothing_to_a_reader(
    around: Stage, person: People, assistant: Start, pair: Replicas
) -> None:
    connect(person(), asked(assistant("dana", "stateless")), "dana")
    entries = around.etcd.entries()
    assert entries
    owner = links.unkeyed_owner(f"{pair.origin('stateless')}/mcp", around.login.issuer, "dana")
    assert not any(owner.encode() in key for key in entries)
    assert json.dumps(sorted(key.decode() for key in entries)).count("dana") == 0


def test_a7_a_deleted_account_that_is_restored_in_etcd_is_noticed(
    around: Stage, person: People, assistant: Start, pair: Replicas
) -> None:
    front = pair.fronts["tools"]
    front.use("a")
    client = assistant("dana", "tools")
    connect(person(), asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    before = around.etcd.entries()
    assert client.call("auth_disconnect", connection="notes").structured_content["disconnected"]
    for key, value in before.items():
        around.etcd.ask("kv/put", key=key, value=value)
    assert asked(client)
    assert "a record in etcd was rolled back" in pair.log()
