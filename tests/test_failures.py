"""Failures outside the filter: invalid policies, dead servers, clients that leave."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from .harness import client_h2, tokens
from .harness.answers import Answer, event_stream, json_answer, result
from .harness.changing import Changing
from .harness.client import Connection, Request, head
from .harness.envoy import Envoy, StartError
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import STATUS, Gateway, Through
from .harness.messages import LEGACY, call, message, post
from .harness.policy import ARGUMENTS, ROLES, issuer, policy
from .harness.upstream import Upstream
from .harness.waiting import eventually

LISTENERS = {
    "crm": Listener(policy()),
    "dead_server": Listener(policy(), cluster="dead"),
    "changing": Listener(policy(), file=Path("policy.json")),
}

BODY = call(LEGACY, "crm.get_customer", {"user_id": "x"})

# What is wrong, and what the message has to name: the path, and what to do.
BAD_POLICIES: dict[str, tuple[Any, list[str]]] = {
    "unknown_key": (policy(isuers=[]), ["isuers", "issuers"]),
    "unknown_key_inside": (policy(roles={"a": {"tool": ["x"]}}), ["roles.a", "tool", "tools"]),
    "no_resource": (policy(resource=None), ["resource"]),
    "bad_resource": (policy(resource="crm"), ["resource", "crm", "https://"]),
    "no_issuers": (policy(issuers=[]), ["issuers"]),
    "wrong_type": (policy(roles={"a": {"tools": "x"}}), ["roles.a.tools"]),
    "unknown_rule": (policy(arguments={"x": "delete"}), ["arguments.x", "delete", "remove"]),
    "unknown_field": (policy(arguments={"x": {"set": "usr"}}), ["arguments.x", "usr", "user"]),
    "unknown_mode": (policy(mode="observ"), ["mode", "observ", "observe"]),
    "unknown_role": (policy(roles={**ROLES, "x": {"extends": ["manger"]}}), ["roles.x.extends", "manger", "manager"]),
    "roles_in_a_circle": (policy(roles={"a": {"extends": ["b"]}, "b": {"extends": ["a"]}}), ["roles.a.extends"]),
    "bad_condition": (policy(tools={"t": {"when": "args.x >"}}), ["tools.t.when"]),
    "unknown_variable": (policy(tools={"t": {"when": "arg.x == 1"}}), ["tools.t.when", "arg", "args"]),
    "symmetric_algorithm": (policy(issuers=[issuer(algorithms=["HS256"])]), ["issuers[0].algorithms", "HS256"]),
    "no_keys": (policy(issuers=[issuer(jwks={})]), ["issuers[0].jwks", "inline"]),
    "unusable_keys": (policy(issuers=[issuer(jwks={"inline": {"keys": []}})]), ["issuers[0].jwks.inline"]),
    "one_name_twice": (policy(arguments={**ARGUMENTS, "userId": "remove"}), ["userId", "user_id"]),
    "too_large": (policy(max_body="2MiB"), ["max_body"]),
    "bad_size": (policy(max_body="lots"), ["max_body"]),
    "bad_period": (policy(tools={"t": {"max_token_age": "5 parsecs"}}), ["tools.t.max_token_age"]),
    "scopes_in_a_circle": (policy(scope_includes={"a": ["b"], "b": ["a"]}), ["scope_includes.a[0]"]),
    "offline_access": (policy(scopes=["offline_access"]), ["scopes[0]", "offline_access"]),
    "bad_page": (policy(metadata={"resource_documentation": "docs"}), ["metadata.resource_documentation"]),
    "bad_header": (policy(headers={"user": "X User"}), ["headers.user", "X User"]),
    "nobody_as_a_user": (policy(anonymous={"resources": ["crm://{user}/*"]}), ["anonymous.resources[0]", "{user}"]),
    "nobody_with_scopes": (policy(anonymous={"scopes": ["x"]}), ["anonymous.scopes", "resources"]),
    "nobody_with_spaces": (policy(anonymous={"tools": ["a "]}), ["anonymous.tools[0]", "spaces"]),
    "header_of_a_prompt": (policy(prompts={"p": {"param_headers": {"a": "A"}}}), ["prompts.p.param_headers", "tools"]),
    "header_that_is_none": (
        policy(tools={"t": {"param_headers": {"a": "Who is it"}}}),
        ["tools.t.param_headers.a", "Who is it", "Mcp-Param-"],
    ),
    "header_without_a_name": (policy(tools={"t": {"param_headers": {"a": ""}}}), ["tools.t.param_headers.a"]),
    "one_header_for_two": (
        policy(tools={"t": {"param_headers": {"a": "Area", "b": "AREA"}}}),
        ["tools.t.param_headers.b", "AREA", "another argument"],
    ),
    "unknown_deviation": (policy(compat={"missing_acept": True}), ["compat", "missing_acept", "missing_accept"]),
    "second_policy": ({"policies": [policy(), policy(path="/x", mode="x")]}, ["policies[1].mode", "observe"]),
    "same_policies": ({"policies": [policy(), policy()]}, ["policies[1].resource", "policies[0]"]),
    "no_policies": ({"policies": []}, ["policies"]),
    "unknown_variable_of_the_vm": (
        {"policies": [policy(audit={"key_env": "NO_SUCH_KEY"})]},
        ["policies[0].audit.key_env", "NO_SUCH_KEY"],
    ),
    "not_a_policy": ("resource: https://crm.example.com", []),
    "nothing": ({}, ["resource"]),
}


@pytest.mark.parametrize("name", ["nothing", "no_issuers", "second_policy"])
def test_a_bad_policy_stops_the_load(directory: Path, clusters: dict[str, Cluster], name: str) -> None:
    """Envoy does not start."""
    written, expected = BAD_POLICIES[name]
    with pytest.raises(StartError) as refused:
        Envoy(directory, {"bad": Listener(written)}, clusters).stop()
    names_the_mistake(str(refused.value), expected)


@pytest.mark.parametrize("name", BAD_POLICIES)
def test_a_bad_policy_is_refused_and_the_log_names_the_mistake(changing: Changing, name: str) -> None:
    """In an Envoy that runs with a good one."""
    written, expected = BAD_POLICIES[name]
    names_the_mistake(changing.refuses(written), expected)


def names_the_mistake(log: str, expected: list[str]) -> None:
    """The module's own lines have these words."""
    assert "panicked" not in log
    lines = [line for line in log.splitlines() if "wasm log" in line]
    for word in expected:
        assert any(word in line for line in lines), f"{word!r} is not in:\n" + "\n".join(lines)


def test_every_mistake_of_a_policy_is_named_at_once(changing: Changing) -> None:
    log = changing.refuses(policy(resource="crm", max_body="2MiB", tools={"t": {"when": "x"}}))
    for word in ("resource", "max_body", "tools.t.when"):
        assert word in log


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
def test_a_dead_server(through: Through, method: str, http2: bool) -> None:
    body = BODY if method == "tools/call" else message(LEGACY, method)
    exchange = through("dead_server").post(body, tokens.support(), http2=http2)
    assert exchange.status in (502, 503)
    assert exchange.logged_status == exchange.status
    assert exchange.record["decision"] == "failed"
    through("dead_server").get(token=tokens.support())


def test_a_server_that_answers_with_an_error(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = json_answer({"error": "down"}, 500)
    assert gateway.post(BODY, tokens.support()).status == 500
    upstream.answer = Answer(503, [("content-type", "text/plain")], [b"down"])
    exchange = gateway.post(message(LEGACY, "tools/list"), tokens.support())
    assert exchange.status in (502, 503)
    assert exchange.logged_status == exchange.status


@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
@pytest.mark.parametrize("style", ["json", "events"])
def test_a_server_that_stops_in_the_middle(gateway: Gateway, upstream: Upstream, method: str, style: str) -> None:
    message_ = result({"tools": [{"name": "crm.purge"}], "content": []})
    whole = json_answer(message_) if style == "json" else event_stream(message_)
    upstream.answer = whole.with_(chunks=[b"".join(whole.chunks)[:-6]], sized=False, cut=True)
    body = BODY if method == "tools/call" else message(LEGACY, method)
    exchange = gateway.post(body, tokens.support())
    assert exchange.record["reason"]
    if method == "tools/list":
        assert b"crm.purge" not in exchange.response.body


POINTS = ["headers", "half_body", "waiting", "answering"]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("point", POINTS)
def test_a_client_that_leaves(gateway: Gateway, upstream: Upstream, point: str, http2: bool) -> None:
    """One record each, and a call that was not complete is never made."""
    upstream.answer = event_stream(result({"content": []})).with_(
        delay=0.5 if point == "waiting" else 0, endless=True
    )
    request = post(BODY, tokens.support())
    body = request.body or b""
    sent = {"headers": b"", "half_body": body[:30]}.get(point, body)
    request.headers.append(("content-length", str(len(body))))
    if http2:
        leave_http2(gateway, request, sent, point)
    else:
        with Connection(gateway.port) as connection:
            connection.send(head(request) + sent)
            wait_for_point(gateway, point)
            connection.abort()
    (line,) = gateway.lines(1)
    assert line.record is not None and line.record["reason"]
    recording = upstream.take()
    assert len(recording.requests) == (1 if sent == body else 0)
    if sent != body:
        assert recording.bytes == 0


def wait_for_point(gateway: Gateway, point: str) -> None:
    """Wait until what was sent has arrived as far as it gets."""
    gateway.wait_for_arrival()
    if point in ("waiting", "answering"):
        gateway.upstream.wait_for(1)
    # For the rest there is no sign to wait for: a slower machine only makes the client leave earlier.
    time.sleep(0.1)


def leave_http2(gateway: Gateway, request: Request, sent: bytes, point: str) -> None:
    """Reset the stream, then close the connection."""
    with client_h2.Connection(gateway.port) as connection:
        request.chunks = [sent] if sent else []
        stream = connection.start(request, end=point in ("waiting", "answering"))
        wait_for_point(gateway, point)
        connection.reset(stream)
        eventually(lambda: not gateway.envoy.open_requests(gateway.name), "Envoy ends the stream")


def test_a_stream_the_client_closes_ends_at_the_server(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = event_stream(result({})).with_(endless=True)
    with Connection(gateway.port) as connection:
        connection.start(Request("GET", "/mcp", [("authorization", f"Bearer {tokens.support()}")]))
        assert connection.response_head().status == 200
        connection.read_until(b"\n\n")
        assert not gateway.logged()
    (line,) = gateway.lines(1)
    assert line.record is not None and line.record["decision"] == "approved"
    assert line.record[STATUS] == 200
