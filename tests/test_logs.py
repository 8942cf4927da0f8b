"""Each request has one log record, without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import client, tokens
from .harness.answers import json_answer, result
from .harness.client import Request
from .harness.envoy import PRIVATE, Envoy
from .harness.envoy_config import Listener
from .harness.gateway import STATUS, Gateway
from .harness.messages import LEGACY, MODERN, call, message, post
from .harness.policy import policy
from .harness.upstream import Upstream
from .harness.variants import ERAS

LISTENERS = {
    "crm": Listener(policy()),
    "plain": Listener(policy(audit={"subject": "plain"})),
    "omitted": Listener(policy(audit={"subject": "omit"})),
    "both": Listener(policy(audit={"log": "both"})),
    "envoy_log": Listener(policy(audit={"log": "envoy_log"})),
}


@ERAS
def test_an_approved_call_is_recorded(gateway: Gateway, era: str) -> None:
    exchange = gateway.post(call(era, "crm.get_customer", {"query": "x"}), tokens.support(), era)
    exchange.forwarded()
    record = exchange.record
    assert record["decision"] == "approved" and record[STATUS] == 200
    assert record["mcp.method.name"] == "tools/call"
    assert record["gen_ai.tool.name"] == "crm.get_customer"


@ERAS
def test_a_blocked_call_is_recorded_with_what_was_asked(gateway: Gateway, era: str) -> None:
    exchange = gateway.post(call(era, "crm.purge"), tokens.support(), era).refused(200)
    assert exchange.record["mcp.method.name"] == "tools/call"
    assert exchange.record["gen_ai.tool.name"] == "crm.purge"


def test_every_decision_is_counted(envoy: Envoy, gateway: Gateway) -> None:
    pattern = r"wasmcustom\.mcp_auth\.decisions\."
    before = sum(envoy.stats(pattern).values())
    gateway.post(call(LEGACY, "crm.get_customer"), tokens.support()).forwarded()
    exchange = gateway.post(call(LEGACY, "crm.purge"), tokens.support()).refused(200)
    gateway.post(call(LEGACY, "crm.get_customer"), None).refused(401)
    after = envoy.stats(pattern)
    assert sum(after.values()) == before + 3
    assert after[f"wasmcustom.mcp_auth.decisions.blocked.{exchange.record['reason']}"] >= 1


def b45_the_caller_is_named_as_the_policy_says(through: Callable[[str], Gateway]) -> None:
    body = call(LEGACY, "crm.get_customer")

    def written(name: str, **claims: Any) -> str:
        return json.dumps(through(name).post(body, tokens.support(**claims)).record)

    assert tokens.USER not in written("crm") and tokens.USER not in written("omitted")
    assert tokens.USER in written("plain")


def b45_a_callers_hash_is_the_same_every_time(gateway: Gateway) -> None:
    body = call(LEGACY, "crm.get_customer")
    records = [gateway.post(body, tokens.support(sub=sub)).record for sub in ("a-1", "a-1", "b-2")]
    stable = [{k: v for k, v in each.items() if isinstance(v, str)} for each in records]
    same = {name for name in stable[0] if stable[0].get(name) == stable[1].get(name)}
    assert any(stable[1][name] != stable[2].get(name) for name in same), "no field tells callers apart"


def test_r18_the_record_names_client_address_and_request(gateway: Gateway) -> None:
    exchange = gateway.post(call(LEGACY, "crm.get_customer"), tokens.support(client_id=tokens.OMIT, azp="desktop"))
    exchange.forwarded()
    record = exchange.record
    assert record["client"] == "desktop"
    assert record["client.address"] == "127.0.0.1"
    # Envoy's own, which its access log has too, and which the server gets.
    assert record["request_id"] == exchange.received.header("x-request-id")
    refused = gateway.post(call(LEGACY, "crm.purge"), tokens.support())
    refused.refused(200)
    assert refused.record["client"] == "chat" and refused.record["request_id"] != record["request_id"]
    unsigned = gateway.post(call(LEGACY, "crm.purge"), None).record
    assert unsigned["client.address"] == "127.0.0.1" and unsigned["request_id"]


def test_r18_a_record_is_in_one_log(through: Callable[[str], Gateway]) -> None:
    body = call(LEGACY, "crm.get_customer")
    # The gateway compares the two logs.
    through("crm").post(body, tokens.support()).forwarded()
    through("both").post(body, tokens.support()).forwarded()
    gateway = through("envoy_log")
    gateway.upstream.take()
    client.send(gateway.port, post(body, tokens.support()))
    gateway.wait_for_arrival()
    gateway.envoy.wait_until_quiet()
    assert gateway._host_log().count("mcp_auth_access {") == 1  # noqa: SLF001
    assert '"record":-' in gateway.envoy.access_path.read_text().splitlines()[-1]
    gateway.skip_log()


SECRETS: dict[str, Request] = {
    "argument": post(call(LEGACY, "crm.get_customer", {"query": PRIVATE}), tokens.support()),
    "argument_name": post(call(LEGACY, "crm.get_customer", {PRIVATE: 1}), tokens.support()),
    "replaced": post(call(LEGACY, "crm.get_customer", {"user_id": PRIVATE}), tokens.support()),
    "removed": post(call(LEGACY, "crm.get_customer", {"role": PRIVATE}), tokens.support()),
    "rejected": post(call(LEGACY, "crm.get_customer", {"impersonate": PRIVATE}), tokens.support()),
    "object": post(call(LEGACY, "crm.get_customer", {"user_id": {"x": PRIVATE}}), tokens.support()),
    "in_string": post(call(LEGACY, "crm.get_customer", {"q": f'{{"user_id":"{PRIVATE}"}}'}), tokens.support()),
    "condition": post(call(LEGACY, "crm.discount", {"percent": PRIVATE}), tokens.manager()),
    "denied": post(call(LEGACY, "crm.purge", {"query": PRIVATE}), tokens.support()),
    "meta": post(call(LEGACY, "crm.get_customer", _meta={"a": PRIVATE}), tokens.support()),
    "not_json": post(f'{{"{PRIVATE}'.encode(), tokens.support()),
    "not_json_value": post(f'{{"jsonrpc":"2.0","x":{PRIVATE}}}'.encode(), tokens.support()),
    "duplicate": post(f'{{"{PRIVATE}":1,"{PRIVATE}":2}}'.encode(), tokens.support()),
    "unknown_member": post(f'{{"jsonrpc":"2.0","id":1,"method":"ping","{PRIVATE}":1}}'.encode(), tokens.support()),
    "id": post({"jsonrpc": "2.0", "id": PRIVATE, "method": "tools/call", "params": {"name": "crm.purge"}}, tokens.support()),
    "cursor": post(message(LEGACY, "tools/list", {"cursor": PRIVATE}), tokens.support()),
    "query": Request("POST", f"/mcp?access_token={PRIVATE}", [("authorization", f"Bearer {tokens.support()}")], b"{}"),
    "not_a_token": post(call(LEGACY, "crm.get_customer"), PRIVATE),
    "basic": post(call(LEGACY, "crm.get_customer"), None, headers=[("authorization", f"Basic {PRIVATE}")]),
    "key_id": post(call(LEGACY, "crm.get_customer"), tokens.support(header={"kid": PRIVATE})),
    "claim": post(call(LEGACY, "crm.get_customer"), tokens.support(org_id=[PRIVATE, PRIVATE + "2"])),
    "subject": post(call(LEGACY, "crm.get_customer"), tokens.support(sub=PRIVATE)),
    "cookie": post(call(LEGACY, "crm.get_customer"), tokens.support(), headers=[("cookie", PRIVATE)]),
    "session": post(call(LEGACY, "crm.get_customer"), tokens.support(), headers=[("mcp-session-id", PRIVATE)]),
    "header_bytes": post(call(LEGACY, "crm.get_customer"), PRIVATE, headers=[("x-a", f"{PRIVATE}\xff")]),
    "content_type": post(b"{}", tokens.support(), headers=[("content-type", PRIVATE)], drop=("content-type",)),
    "origin": post(b"{}", tokens.support(), headers=[("origin", f"https://{PRIVATE}.example")]),
    "version": post(b"{}", tokens.support(), PRIVATE),
    "parameter": post(call(MODERN, "crm.get_customer"), tokens.support(), MODERN, [("mcp-param-x", PRIVATE)]),
    "name_mismatch": post(call(MODERN, "crm.get_customer"), tokens.support(), MODERN, [("mcp-name", PRIVATE)], ("mcp-name",)),
}


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("request_", SECRETS.values(), ids=SECRETS)
def b45_no_value_of_a_request_is_logged(
    envoy: Envoy, gateway: Gateway, request_: Request, http2: bool
) -> None:
    exchange = gateway.send(request_, http2)
    assert exchange.record["reason"]
    envoy.check_no_secrets()
    if not exchange.upstream.requests:
        refusal = exchange.response.body.replace(b'"id":"PRIVATE-VALUE"', b"")
        assert PRIVATE.encode() not in refusal, "the refusal repeats the request"


def b45_no_value_of_an_answer_is_logged(envoy: Envoy, gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = json_answer(result({"content": [{"type": "text", "text": PRIVATE}]}))
    exchange = gateway.post(call(LEGACY, "crm.get_customer"), tokens.support())
    assert exchange.forwarded() and PRIVATE in exchange.response.body.decode()
    upstream.answer = json_answer(PRIVATE.encode())
    assert gateway.post(message(LEGACY, "tools/list"), tokens.support()).logged_status == 502
    envoy.check_no_secrets()


NAMES = [
    "crm.a\nmcp_auth_access {}",
    'crm.a"}\n{"decision":"approved"',
    "crm.a\r\n[info] forged",
    "crm.a\u001b[2J\u001b[31m",
    "crm.a\u0007\u0008\u007f",
    "crm.a\u2028\u2029\u0085",
    "crm.a\u202e\u2066",
    "crm.\\u0022",
    'crm."quoted"',
    "crm." + "a" * 5000,
]


@pytest.mark.parametrize("role", ["support", "manager"])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def b45_names_cannot_write_log_lines(envoy: Envoy, gateway: Gateway, name: str, role: str) -> None:
    exchange = gateway.post(call(LEGACY, name), tokens.token(role))
    assert exchange.record["decision"] in ("approved", "blocked")
    if exchange.record["decision"] == "blocked":
        exchange.refused({200, 400})
    written = envoy.access_path.read_text() + envoy.log()
    assert not set("\u001b\u0007\u0008\u007f\u202e\u2066\u2028\u2029\u0085") & set(written)
    assert len(json.dumps(exchange.record)) < 4000


METHODS = ["tools/call\nx", "x\u001b[31m", 'x"}', "m" * 5000]


@pytest.mark.parametrize("method", METHODS, ids=range(len(METHODS)))
def b45_methods_cannot_write_log_lines(envoy: Envoy, gateway: Gateway, method: str) -> None:
    exchange = gateway.post(message(LEGACY, method), tokens.support()).refused(200)
    assert len(json.dumps(exchange.record)) < 4000
    assert "\u001b" not in envoy.access_path.read_text() + envoy.log()


def b45_counters_do_not_grow_with_what_clients_send(envoy: Envoy, gateway: Gateway) -> None:
    gateway.post(call(LEGACY, "crm.name0"), tokens.support()).refused(200)
    before = len(envoy.stats("wasmcustom"))
    for number in range(1, 20):
        gateway.post(call(LEGACY, f"crm.name{number}"), tokens.support()).refused(200)
        gateway.post(message(LEGACY, f"method{number}"), tokens.support()).refused(200)
    assert len(envoy.stats("wasmcustom")) <= before + 2
