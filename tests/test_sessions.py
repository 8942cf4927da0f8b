"""A session id of a client is valid for its user only, and the server gets its own back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import Answer, event_stream, json_answer, listing, result
from .harness.client import Request
from .harness.client_h2 import Connection
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.handles import (
    BUFFERED,
    INITIALIZE,
    INITIALIZED,
    NO_KEY,
    OBSERVE,
    SERVERS,
    SESSION,
    SESSION_HEADER,
    STRANGERS,
    HandleGateway,
    Sealed,
    Stranger,
    begin,
    forgeries,
    ping,
    with_session,
)
from .harness.messages import LEGACY, MODERN, HeaderList, message, post, rpc
from .harness.policy import policy
from .harness.variants import CLIENTS

LISTENERS = {
    **SERVERS,
    "crm_h2": Listener(policy(), "upstream_h2"),
    "buffered": BUFFERED,
    "no_key": NO_KEY,
    "no_key_buffered": Listener(
        policy(seal=None, hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024
    ),
    "observe": OBSERVE,
}

METHODS = pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])


def session(held: str) -> HeaderList:
    """The header that names a session."""
    return [(SESSION_HEADER, held)]


def served(gateway: HandleGateway, method: str, token: str, held: str, http2: bool = False) -> str | None:
    """Which session the server was asked for."""
    exchange = ping(gateway, method, token, session(held), http2)
    return exchange.forwarded(status=200 if method == "POST" else 405).header(SESSION_HEADER)


@METHODS
@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "crm_h2", "buffered"])
def b24_the_client_holds_another_session_id_than_the_server(
    sealed: Sealed, listener: str, method: str, http2: bool
) -> None:
    gateway, token = sealed(listener), tokens.support()
    held = begin(gateway, token, http2=http2)
    assert served(gateway, method, token, held, http2) == SESSION


def b24_a_session_is_its_users_under_any_token(sealed: Sealed) -> None:
    """A refreshed token, other roles, another client: the user counts."""
    gateway = sealed("crm")
    held = begin(gateway, tokens.support())
    for token in (tokens.manager(), tokens.support(client_id="other", org_id="org-b")):
        assert served(gateway, "POST", token, held) == SESSION
        assert begin(gateway, token) == held, "clients compare session ids"
    assert begin(gateway, tokens.support(), "PRIVATE-VALUE-another") != held


@STRANGERS
@METHODS
@CLIENTS
def b24_a_session_of_another_caller_is_unknown(
    sealed: Sealed, stranger: Stranger, method: str, http2: bool
) -> None:
    held = begin(sealed("crm"), tokens.support())
    gateway, token = sealed(stranger.listener), stranger.token()
    own = begin(gateway, token)
    assert own != held
    assert served(gateway, method, token, own, http2) == SESSION
    exchange = ping(gateway, method, token, session(held), http2)
    exchange.refused(404, -32001, "blocked")
    assert exchange.record["reason"] == "unknown_session"
    assert exchange.record["next_action"]


@METHODS
def b24_a_forged_session_is_unknown(sealed: Sealed, method: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = begin(gateway, token)
    for forged in [SESSION, "", "session", f"{held},{held}", "A" * 20_000, *forgeries(held)]:
        ping(gateway, method, token, session(forged)).refused(404, -32001, "blocked")


@CLIENTS
def b24_two_session_headers_are_refused(sealed: Sealed, http2: bool) -> None:
    gateway, token = sealed("crm"), tokens.support()
    twice = session(begin(gateway, token)) * 2
    # Envoy may have joined them, which makes them no session id.
    ping(gateway, "POST", token, twice, http2).refused({400, 404}, {-32600, -32001}, "blocked")


@CLIENTS
@pytest.mark.parametrize("name", ["mcp_session_id", "Mcp_Session-Id"])
def b24_a_session_header_in_other_spelling_does_not_reach_the_server(
    sealed: Sealed, name: str, http2: bool
) -> None:
    gateway, token = sealed("crm"), tokens.support()
    exchange = ping(gateway, "POST", token, [(name, SESSION)], http2)
    assert not any("session" in name.lower() for name, _ in exchange.forwarded().headers)


@CLIENTS
def b24_a_session_in_trailers_does_not_reach_the_server(sealed: Sealed, http2: bool) -> None:
    trailers = [(SESSION_HEADER, SESSION), ("last-event-id", "1"), ("x-checksum", "1")]
    exchange = sealed("crm").post(
        rpc("ping"), tokens.support(), trailers=trailers, http2=http2
    )
    assert exchange.forwarded().trailers == [("x-checksum", "1")]


ANSWERS = {
    "json": json_answer(INITIALIZED),
    "events": event_stream(INITIALIZED),
    "text": Answer(200, [("content-type", "text/plain")], [b"hello"]),
    "accepted": Answer(202, sized=True),
    "no_content": Answer(204),
    "error": json_answer(result({}), 500),
}
GIVEN = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())


@GIVEN
@CLIENTS
def b24_any_answer_may_bring_a_session(sealed: Sealed, answer: Answer, http2: bool) -> None:
    gateway, token = sealed("crm"), tokens.support()
    expected = begin(gateway, token)
    gateway.upstream.answer = with_session(answer)
    exchange = gateway.post(rpc("ping"), token, headers=session(expected), http2=http2)
    assert exchange.forwarded(status=answer.status).header(SESSION_HEADER) == SESSION
    assert exchange.response.header(SESSION_HEADER) == expected


@CLIENTS
def b24_an_answer_with_two_sessions_is_not_passed(sealed: Sealed, http2: bool) -> None:
    gateway = sealed("crm")
    gateway.upstream.answer = with_session(with_session(json_answer(INITIALIZED)), "2")
    exchange = gateway.post(INITIALIZE, tokens.support(), http2=http2)
    assert exchange.status == 502
    assert exchange.response.all(SESSION_HEADER) == []
    assert b"serverInfo" not in exchange.response.body


@GIVEN
@CLIENTS
@pytest.mark.parametrize("listener", ["no_key", "no_key_buffered"])
def b24_without_a_key_no_session_is_given_out(
    sealed: Sealed, listener: str, answer: Answer, http2: bool
) -> None:
    gateway = sealed(listener)
    gateway.upstream.answer = with_session(answer)
    exchange = gateway.post(INITIALIZE, tokens.support(), http2=http2)
    # An error stays the error it was.
    assert exchange.status == (answer.status if answer.status >= 400 else 502)
    assert exchange.response.all(SESSION_HEADER) == []
    assert not any(chunk in exchange.response.body for chunk in answer.chunks)
    assert exchange.record["decision"] == "blocked"
    assert exchange.record["reason"] == "no_seal_key"
    assert "seal" in exchange.record["next_action"]
    assert exchange.logged_status == exchange.status


def b24_without_a_key_no_session_is_known(sealed: Sealed) -> None:
    token = tokens.support()
    for held in (begin(sealed("crm"), token), SESSION):
        ping(sealed("no_key"), "POST", token, session(held)).refused(404, -32001, "blocked")


@pytest.mark.parametrize("listener", ["crm", "no_key"])
@CLIENTS
def b24_2026_07_28_has_no_sessions(sealed: Sealed, listener: str, http2: bool) -> None:
    gateway = sealed(listener)
    gateway.upstream.answer = with_session(json_answer(listing("tools", [])))
    body = message(MODERN, "tools/list")
    headers = [*session(SESSION), ("last-event-id", "1")]
    exchange = gateway.post(body, tokens.support(), MODERN, headers, http2=http2)
    received = exchange.forwarded()
    assert received.header(SESSION_HEADER) is None
    assert received.header("last-event-id") is None
    assert exchange.response.header(SESSION_HEADER) is None


@METHODS
def b24_a_version_without_sessions_does_not_let_one_through(sealed: Sealed, method: str) -> None:
    """A server of both versions might look at the session all the same."""
    gateway, token = sealed("crm"), tokens.support()
    request = post(rpc("ping"), token, MODERN, session(SESSION))
    if method == "POST":
        gateway.send(request).refused(400, None, "blocked")
        return
    request.method, request.body = method, None
    assert gateway.send(request).forwarded(status=405).header(SESSION_HEADER) is None


def b24_sessions_on_one_connection_are_separate(sealed: Sealed) -> None:
    """Streams of one connection, and of one Wasm VM, know nothing of each other."""
    gateway = sealed("crm")
    owners = {f"user-{n}": tokens.support(sub=f"user-{n}") for n in range(3)}
    held = {user: begin(gateway, token, f"{SESSION}-{user}") for user, token in owners.items()}
    with Connection(gateway.port) as connection:
        for user, token in owners.items():
            for owner, theirs in held.items():
                request = post(rpc("ping"), token, LEGACY, session(theirs))
                exchange = gateway.exchange(connection.request(request))
                if owner == user:
                    received = exchange.forwarded()
                    assert received.header(SESSION_HEADER) == f"{SESSION}-{user}"
                else:
                    exchange.refused(404, -32001, "blocked")


@METHODS
def test_observe_mode_leaves_sessions_as_they_are(through: Callable[[str], Gateway], method: str) -> None:
    gateway = through("observe")
    gateway.upstream.answer = with_session(json_answer(result({})))
    exchange = ping(gateway, method, tokens.support(), session("of the server"))
    assert exchange.received.header(SESSION_HEADER) == "of the server"
    assert exchange.response.header(SESSION_HEADER) == SESSION
    assert exchange.record["decision"] == "draft"


@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "buffered"])
def test_r14_initialize_with_a_stale_session_starts_a_session(sealed: Sealed, listener: str, http2: bool) -> None:
    """Some clients send the id of an ended session for ever."""
    gateway, token = sealed(listener), tokens.support()
    exchange = gateway.post(INITIALIZE, token, headers=session("ended"), http2=http2)
    forwarded = exchange.forwarded()
    assert not any(name.lower() == SESSION_HEADER for name, _ in forwarded.headers)
    assert exchange.status == 200
    refused = ping(gateway, "POST", token, session("ended"), http2).refused(404, -32001, "blocked")
    assert refused.record["reason"] == "unknown_session"


def test_r14_head_without_a_token_gets_the_challenge(sealed: Sealed) -> None:
    """Clients look for the authorization server with HEAD, too."""
    response = sealed("crm").send(Request("HEAD", "/mcp", [])).response
    assert response.status == 401
    assert "resource_metadata=" in (response.header("www-authenticate") or "")
