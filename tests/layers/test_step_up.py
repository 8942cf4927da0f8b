"""Sign-ins that must be fresh and strong, with a real provider."""

from __future__ import annotations

from collections.abc import Callable

from .assistant import Assistant
from .browser import Person
from .connect import asked, connect, open_link
from .providers import ACCOUNTS, STRONG
from .replicas import Replicas
from .sites import notes
from .stage import Stage

People = Callable[..., Person]
Start = Callable[..., Assistant]

SITES = {
    "notes": notes(sign_in={"max_age": "1m", "prompt": "login"}),
    "strong": notes(sign_in={"acr": [STRONG]}, auth_tools=True),
    "connection": notes(connection={"sign_in": {"max_age": "1m"}}),
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
