"""What one client can make a worker do: conditions, signature checks, introspection, key fetches."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from .harness import client, tokens
from .harness.answers import encoded, event_stream, json_answer, raw_stream, result
from .harness.client import Connection, head
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.introspection import CLIENT_SECRET, Introspection
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, call, message, post
from .harness.policy import SECRET_ENV, fetched, introspected, issuer, policy
from .harness.upstream import Upstream

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})
ROTATING = "/keys/bounds/rotating"

CONDITIONS = {
    "crm.get_paths": {"when": "args.paths.map(p, args.root + p).all(f, f != '')"},
    "crm.get_ids": {"when": "args.ids.all(x, x in args.allowed)"},
}

# Shapes that need much memory for each of their bytes, and the smallest parts of what rules look for.
SHAPES = {
    "objects": lambda size: [{}] * (size // 4),
    "lists": lambda size: [[]] * (size // 4),
    "numbers": lambda size: [1] * (size // 3),
    "texts": lambda size: [""] * (size // 4),
    "members": lambda size: {f"{number:x}": 1 for number in range(size // 12)},
    "owned": lambda size: [{"organization_id": "acme", "ssn": str(number)} for number in range(size // 46)],
    "foreign": lambda size: [{"organization_id": "globex", "a": str(number)} for number in range(size // 46)],
    "nested text": lambda size: '[{"a":"' * (size // 12),
    "json in a text": lambda size: encoded([{"a": 1}] * (size // 14)).decode(),
    "json lines": lambda size: '{"a":1}\n' * (size // 12),
    "base64": lambda size: base64.b64encode(encoded([{"ssn": "1"}] * (size // 20))).decode(),
    "addresses": lambda size: "a@b.example " * (size // 12),
    "letters that fold to many": lambda size: {"\ufdfa" * (size // 3): 1},
}


ALL_RULES = {
    "tools": ["crm.*"],
    "owner": {"field": "organization_id", "is": "organization"},
    "redact": ["ssn"],
    "detect": ["email", "card", "secret"],
    "text": "keep",
}

LISTENERS = {
    "large": Listener(
        policy(max_body="1000KiB", max_response="16MiB", results=[ALL_RULES]),
        buffer_limit=20 * 1024 * 1024,
    ),
    "crm": Listener(policy()),
    "conditions": Listener(policy(tools=CONDITIONS)),
    "two_keys": Listener(policy(issuers=[issuer(key("ES256"), key("ES256", "second"))])),
    "flooded": Listener(policy()),
    "rotating": Listener(policy(issuers=[fetched(ROTATING)])),
    "asked": Listener(
        policy(issuers=[introspected("/introspect/bounds")]), environment={SECRET_ENV: CLIENT_SECRET}
    ),
    "small_buffer": Listener(policy(), buffer_limit=16 * 1024),
    "dead_server": Listener(policy(), cluster="dead"),
}


def test_k1_a_condition_over_its_budget_is_refused_and_the_worker_goes_on(envoy: Envoy, through: Through) -> None:
    gateway = through("conditions")
    paths = {"root": "r" * 100_000, "paths": ["p" * 50] * 2000}
    for _ in range(5):
        exchange = gateway.post(call(LEGACY, "crm.get_paths", paths), tokens.manager())
        exchange.does_not_hold("condition_too_costly")
    few = {"root": "/home/", "paths": ["a", "b"]}
    gateway.post(call(LEGACY, "crm.get_paths", few), tokens.manager()).forwarded()
    log = envoy.log()
    assert "panicked" not in log and "VM failed" not in log


def test_k1_two_long_lists_are_compared_in_little_time(through: Through) -> None:
    gateway = through("conditions")
    ids = list(range(15_000))
    body = call(LEGACY, "crm.get_ids", {"ids": ids, "allowed": ids})
    gateway.post(BODY, tokens.manager()).forwarded()
    begin = time.monotonic()
    gateway.post(body, tokens.manager()).forwarded()
    assert time.monotonic() - begin < 2


def test_k2_streams_that_hold_too_much_together_are_refused_and_others_are_not(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.answer = raw_stream(b"data: " + b"x" * 900_000).with_(endless=True)
    streams = [Connection(gateway.port) for _ in range(90)]
    ask = post(message(LEGACY, "tools/list"), tokens.support())
    ask.headers.append(("content-length", str(len(ask.body or b""))))
    try:
        for stream in streams:
            stream.send(head(ask) + (ask.body or b""))
        upstream.wait_for(len(streams))
        # There is no sign to wait for: nothing of an unfinished event reaches the client.
        time.sleep(3)
        upstream.answer = json_answer(result({"content": []}))
        assert client.send(gateway.port, post(BODY, tokens.support())).status == 200
    finally:
        for stream in streams:
            stream.abort()
    reasons = [line.record["reason"] for line in gateway.lines(91) if line.record]
    assert 10 <= reasons.count("worker_full") <= 40
    upstream.take()


@pytest.mark.parametrize("shape", SHAPES)
def test_k3_a_body_and_an_answer_of_any_shape_leave_the_worker_running(
    through: Through, upstream: Upstream, shape: str
) -> None:
    """The end of each test module checks that no worker was started anew."""
    gateway = through("large")
    said = json_answer(result({"content": [], "structuredContent": {"a": SHAPES[shape](9_000_000)}}))
    asked = call(LEGACY, "crm.get_customer", {"query": SHAPES[shape](700_000)})
    upstream.answer = said
    requests = [post(body, tokens.support()) for body in (asked, BODY, asked, BODY)]
    answers = client.together(gateway.port, requests)
    assert all(answer.status in {200, 400, 413, 502, 503} for answer in answers), answers
    assert len([line for line in gateway.lines(4) if line.record]) == 4
    upstream.answer = json_answer(result({"content": []}))
    gateway.post(BODY, tokens.support()).forwarded()


def test_s8_a_role_claim_that_is_a_text_is_one_role(gateway: Gateway) -> None:
    body = call(LEGACY, "crm.anything", {"query": "x"})
    for roles in ("Regional manager", "manager admin", "manager\tadmin", "manager,admin", " manager"):
        token = tokens.support(realm_access={"roles": roles})
        gateway.post(body, token).refused(200, -32602, "blocked")
    gateway.post(body, tokens.support(realm_access={"roles": "manager"})).forwarded()


def test_k4_a_token_without_a_kid_is_checked_with_one_key_only(through: Through, gateway: Gateway) -> None:
    nameless = {"kid": tokens.OMIT}
    through("two_keys").post(BODY, tokens.support(header=nameless)).invalid_token("token_key_unnamed")
    through("two_keys").post(BODY, tokens.support()).forwarded()


def test_k4_a_flood_of_forged_tokens_leaves_other_clients_alone(through: Through) -> None:
    gateway = through("flooded")
    gateway.post(BODY, tokens.support()).forwarded()
    forger = key("ES256", "forger")
    flood = [
        post(BODY, tokens.support(signer=forger, header={"kid": "ES256"}, jti=str(number)), headers=[("x-forwarded-for", "192.0.2.1")])
        for number in range(600)
    ]
    statuses: list[int] = []

    def send(part: list[client.Request]) -> None:
        statuses.extend(response.status for response in client.together(gateway.port, part))

    senders = [threading.Thread(target=send, args=(flood[at : at + 100],)) for at in range(0, 600, 100)]
    for sender in senders:
        sender.start()
    new = [
        gateway_status(gateway, tokens.support(jti=f"new-{number}"), f"198.51.100.{number}") for number in range(20)
    ]
    for sender in senders:
        sender.join()
    assert new == [200] * 20
    assert set(statuses) <= {401, 503}
    gateway.lines(len(statuses) + len(new))
    gateway.upstream.take()


def gateway_status(gateway: Gateway, token: str, address: str) -> int:
    """The status of an allowed call from this address."""
    request = post(BODY, token, headers=[("x-forwarded-for", address)])
    (response,) = client.together(gateway.port, [request])
    return response.status


def test_k5_a_new_key_is_found_after_an_unknown_one(through: Through, issuer: Issuer) -> None:
    gateway = through("rotating")
    issuer.paths[ROTATING] = keys_answer(key("ES256"))
    gateway.post(BODY, tokens.support()).forwarded()
    time.sleep(2)
    new = key("ES256", "new")
    gateway.post(BODY, tokens.support(signer=key("ES256", "made-up"))).invalid_token("token_key_unknown")
    time.sleep(2)
    issuer.paths[ROTATING] = keys_answer(key("ES256"), new)
    gateway.post(BODY, tokens.support(signer=new)).forwarded()
    # Once no fetch may happen for a while, nobody is told that a token is invalid.
    time.sleep(2)
    gateway.post(BODY, tokens.support(signer=key("ES256", "newer"))).unavailable("key_set_not_current")


def test_k7_made_up_tokens_leave_room_for_others(through: Through, introspection: Introspection) -> None:
    introspection.delays["/introspect/bounds"] = 0.2
    gateway = through("asked")
    made_up = [post(BODY, tokens.remember(f"made-up-{number}")) for number in range(64)]
    good = [post(BODY, introspection.token()) for _ in range(60)]
    statuses = [response.status for response in client.together(gateway.port, made_up + good)]
    assert (statuses.count(401), statuses.count(200)) == (64, 60)
    gateway.lines(len(statuses))
    gateway.upstream.take()


def test_k9_the_log_tells_failures_from_decisions(through: Through, upstream: Upstream) -> None:
    down = through("dead_server").post(BODY, tokens.support())
    assert (down.record["decision"], down.record["reason"]) == ("failed", "upstream_unavailable")
    large = call(LEGACY, "crm.get_customer", {"text": "x" * 100_000})
    buffered = through("small_buffer").post(large, tokens.support())
    if buffered.status == 413:
        assert (buffered.record["decision"], buffered.record["reason"]) == ("blocked", "proxy_body_too_large")


@pytest.mark.parametrize("style", ["json", "events"])
def test_k9_an_answer_that_the_server_cuts_off_is_not_approved(
    gateway: Gateway, upstream: Upstream, style: str
) -> None:
    whole = json_answer(result({"content": []})) if style == "json" else event_stream(result({"content": []}))
    upstream.answer = whole.with_(chunks=[b"".join(whole.chunks)[:-6]], sized=False, cut=True)
    exchange = gateway.post(BODY, tokens.support())
    assert (exchange.record["decision"], exchange.record["reason"]) == ("failed", "upstream_reset")
