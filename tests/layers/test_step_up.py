"""Sign-ins that must be fresh and strong, with a real provider."""

from __future__ import annotations

from collections.abc import Callable

from .assistant import Assistant
from .browser import Person
from .connect import TITLE, asked, connect, go_on, open_link
from .providers import ACCOUNTS, SCOPE, STRONG
from .replicas import Replicas
from .sites import at_simple_provider, notes
from .stage import Stage

People = Callable[..., Person]
Start = Callable[..., Assistant]

SITES = {
    "notes": notes(sign_in={"max_age": "1m", "prompt": "login"}),
    "strong": notes(sign_in={"acr": [STRONG]}, auth_tools=True),
    "connection": notes(connection={"sign_in": {"max_age": "1m"}}),
    "ignoring": at_simple_provider({"max_age": "1m"}, account={"id_token": "sub"}),
    "tool": notes(tools={"notes.list": {"max_token_age": "10m"}}),
}


def _requested(stage: Stage, client: str) -> list[dict[str, str]]:
    """The authorization requests of the filter's pages."""
    return [each for each in stage.login.authorizations() if each.get("redirect_uri", "").endswith("/.mcp-auth/signed-in")]


def test_a_fresh_sign_in_is_requested_and_confirmed(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client = assistant("dana")
    connect(person(), asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    sent = _requested(around, "notes")[0]
    assert (sent["max_age"], sent["prompt"]) == ("60", "login")


def test_a_connection_or_a_tool_may_ask_for_a_fresher_sign_in(
    around: Stage, person: People, assistant: Start
) -> None:
    for site, age in (("connection", "60"), ("tool", "600")):
        around.login.reset()
        client = assistant("dana", site)
        connect(person(), asked(client), "dana")
        assert client.notes()["account"] == ACCOUNTS["dana"]
        assert _requested(around, site)[0]["max_age"] == age


def test_a_sign_in_must_be_strong_enough(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    erin, client = person(), assistant("erin", "strong")
    connect(erin, asked(client), "erin")
    assert client.notes()["account"] == ACCOUNTS["erin"]
    assert _requested(around, "strong")[0]["acr_values"] == STRONG

    # The provider signs dana in with a password only, although more was requested.
    dana, client = person(), assistant("dana", "strong")
    with pair.logs("page_sign_in_too_weak"):
        open_link(dana, asked(client), "dana")
    assert "not strong enough" in dana.text()
    assert not [each for each in around.resource.authorizations()][1:]


def test_a_provider_that_ignores_what_was_requested_is_noticed(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    held = around.simple.caller_token("dana", pair.url("ignoring"), SCOPE)
    client, dana = assistant("dana", "ignoring", with_token=held), person()
    # The user signed in an hour ago, and the provider asks for nothing.
    around.simple.signed_in_ago_s = 3600
    link = asked(client)
    with pair.logs("page_sign_in_too_old"):
        dana.goto(link)
    # The user is not sent around in a circle.
    [sent] = around.simple.asked("/authorize")
    assert sent["max_age"] == "60" and "too long ago" in dana.text(), dana.text()
    # The same link works after a fresh sign-in.
    around.simple.signed_in_ago_s = 0
    dana.goto(link)
    go_on(dana)
    assert f"{TITLE} is connected" in dana.text()
    assert client.notes()["account"] == "dana@simple"
