"""What clients and servers send although the specification says otherwise (docs/field.md)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, event_stream, json_answer, result
from .harness.client import send
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Through
from .harness.http import Received
from .harness.keys import key
from .harness.messages import LEGACY, MODERN, call, post, rpc
from .harness.policy import CLAIMS, TOOLS, issuer, policy
from .harness.variants import ERAS

SET = {"set": "organization"}
MESSAGE = "A discount of 20 percent needs a manager."

STRICT = policy(
    tools={
        **TOOLS,
        "crm.discount": {"when": "args.percent < 20", "message": MESSAGE},
        "crm.get_customer": {"arguments": {"organization_id": SET}},
        "crm.search_customers": {"arguments": {"username": "keep", "role": "keep"}},
    },
    prompts={"customer_summary": {"when": "args.tone != 'rude'", "message": MESSAGE}},
    results=[{"tools": ["crm.assign_ticket"], "redact": ["ssn"]}],
)
WITHOUT_ORGANIZATION = policy(
    issuers=[issuer(key("ES256"), identity={name: CLAIMS[name] for name in CLAIMS if name != "organization"})],
    roles={"support": {"tools": ["*"]}},
    arguments={},
    tools={},
)

LISTENERS = {
    "strict": Listener(STRICT),
    "two_workers": Listener(STRICT),
    "without_organization": Listener(WITHOUT_ORGANIZATION),
}
CONCURRENCY = 2

CHATGPT = {"openai/subject": "v1/abc", "openai/organization": "org-xyz", "openai/locale": "en-US"}

METHODS = pytest.mark.parametrize(
    "method", ["initialize", "tools/list", "prompts/list", "resources/list", "ping", "tools/call"]
)


@METHODS
def test_r3_namespaced_metadata_is_never_refused(through: Through, method: str) -> None:
    params = {"name": "crm.get_customer", "_meta": CHATGPT}
    exchange = through("without_organization").post(rpc(method, params), tokens.support())
    sent = exchange.forwarded().json["params"]["_meta"]
    assert sent == {name: value for name, value in CHATGPT.items() if name != "openai/organization"}
    exchange = through("strict").post(rpc(method, params), tokens.support())
    sent = exchange.forwarded().json["params"]["_meta"]
    assert sent == {**CHATGPT, "openai/organization": tokens.ORGANIZATION}


def test_r3_other_rules_remove_what_the_client_says(through: Through) -> None:
    meta = {"a/username": "ann", "a/b": {"user": {"id": 1}, "x": 1}, "a/c": '{"role": 1}', "a/d": "role"}
    exchange = through("without_organization").post(rpc("tools/list", {"_meta": meta}), tokens.support())
    assert exchange.forwarded().json["params"]["_meta"] == {"a/b": {"x": 1}, "a/d": "role"}
    exchange = through("without_organization").post(rpc("tools/list", {"_meta": {"username": "ann"}}), tokens.support())
    exchange.refused({200, 400}, -32602, "blocked")


def echo(message: dict[str, Any]) -> Any:
    """A server that refuses ids that are not as the client wrote them."""

    def answered(request: Received) -> Answer:
        received = request.json
        if "id" not in received or type(received["id"]) is not type(message["id"]):
            return json_answer({"jsonrpc": "2.0", "error": {"code": -32600, "message": "id"}}, 400)
        return event_stream(result({"structuredContent": {"ssn": "1"}, "tools": []}, received["id"]))

    return answered


@pytest.mark.parametrize("id", [0, 1, -5, 2**31, 2**53, 2**30 + 7, "1", "a b"])
@pytest.mark.parametrize("method", ["tools/list", "tools/call", "ping"])
def test_r4_integer_ids_stay_integers(through: Through, method: str, id: Any) -> None:
    gateway = through("strict")
    message = rpc(method, {"name": "crm.assign_ticket", "arguments": {}}, id)
    gateway.upstream.answer = echo(message)
    exchange = gateway.post(message, tokens.support())
    received = exchange.forwarded().json["id"]
    assert (received == id) == (method == "ping" and id != 2**30 + 7)
    if isinstance(id, int) and received != id:
        assert 2**30 <= received < 2**31
    assert exchange.response.rpc()["id"] == id
    assert method != "tools/call" or "***" in exchange.response.body.decode()


def test_r4_running_requests_have_different_ids(through: Through) -> None:
    seen = set()
    for name in ("strict", "two_workers") * 20:
        exchange = through(name).post(rpc("tools/list"), tokens.support())
        seen.add(exchange.forwarded().json["id"])
    assert len(seen) == 40


def test_r4_a_request_is_cancelled_at_once_through_any_worker(through: Through) -> None:
    gateway = through("strict")
    gateway.upstream.take()
    running = rpc("tools/call", {"name": "crm.assign_ticket", "arguments": {}}, 9)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}

    def answered(request: Received) -> Answer:
        return echo(running)(request).with_(delay=4) if "id" in request.json else Answer(202, sized=True)

    gateway.upstream.answer = answered
    with ThreadPoolExecutor(17) as pool:
        call = pool.submit(send, gateway.port, post(running, tokens.support()))
        gateway.upstream.wait_for(1)
        # Each connection is served by one of two workers.
        cancelled = pool.map(lambda _: send(gateway.port, post(cancel, tokens.support())), range(16))
        assert {response.status for response in cancelled} == {202}
        assert call.result().rpc()["id"] == 9
    first, *others = gateway.upstream.take().requests
    assert [request.json["params"]["requestId"] for request in others] == [first.json["id"]] * 16
    gateway.lines(17)
    # Now it has ended. The cancellation waits for nothing, and goes on as it is.
    assert gateway.post(cancel, tokens.support()).forwarded(status=202).json == cancel
    for other in (first.json["id"], "mcp-auth-filter:00:MQ"):
        unknown = cancel | {"params": {"requestId": other}}
        gateway.post(unknown, tokens.support()).refused(400, -32600, "blocked")


def asked(through: Through, tool: str) -> Any:
    """The id of a request of the server during a call, as the client receives it."""
    gateway = through("strict")
    ask = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {"message": "?"}}
    gateway.upstream.answer = event_stream(ask)
    exchange = gateway.post(call(LEGACY, tool, {}), tokens.manager())
    (data,) = [line for line in exchange.response.body.decode().splitlines() if line.startswith("data:")]
    return json.loads(data.removeprefix("data:"))["id"]


def answer(through: Through, id: Any, content: dict[str, Any], token: str | None = None) -> Exchange:
    """Send a user's answer."""
    message = {"jsonrpc": "2.0", "id": id, "result": {"action": "accept", "content": content}}
    through("two_workers").upstream.reset()
    return through("two_workers").post(message, token or tokens.manager())


def test_r5_an_answer_has_the_rules_of_its_tool(through: Through) -> None:
    content = {"username": "Ann", "role": "boss", "amount": 3}
    exchange = answer(through, asked(through, "crm.search_customers"), content)
    sent = exchange.forwarded(status=202).json
    assert sent["id"] == 7 and sent["result"]["content"] == content
    # Without rules of its own, the general ones apply.
    id = asked(through, "crm.report_nothing")
    assert id == 7
    sent = answer(through, id, {"role": "boss", "amount": 3}).forwarded(status=202).json
    assert sent["result"]["content"] == {"amount": 3}


def test_r5_a_refused_answer_is_an_error_for_the_server(through: Through) -> None:
    exchange = answer(through, 7, {"username": "Ann"})
    assert exchange.status == 202
    sent = exchange.received.json
    assert sent["id"] == 7 and sent["error"]["code"] == -32603 and "result" not in sent
    assert exchange.record["decision"] == "blocked" and exchange.record["reason"] == "argument_rejected"
    id = asked(through, "crm.search_customers")
    stranger = answer(through, id, {"username": "Ann"}, tokens.manager(sub="user-bob"))
    stranger.refused(400, -32600, "blocked")


@ERAS
def test_r6_null_is_absent(through: Through, era: str) -> None:
    body = call(era, "crm.get_customer")
    body["params"]["arguments"] = None
    body["params"]["cursor"] = None
    sent = through("strict").post(body, tokens.support(), era).forwarded().json
    assert sent["params"]["arguments"] == {"organization_id": tokens.ORGANIZATION}
    assert sent["params"]["cursor"] is None
    body = call(LEGACY, "crm.search_x")
    body["params"].update(_meta=None, arguments=None)
    through("strict").post(body, tokens.support()).forwarded(body)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": None}
    through("strict").post(ping, tokens.support()).forwarded(ping)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        (b'{"method":"ping","params":7,"jsonrpc":"2.0","id":"a"}', "a"),
        (b'{"method":"ping","params":{"a":1,"a":2},"jsonrpc":"2.0","id":7}', 7),
        (b'{"id":7,"method":"ping","params":{"a":NaN}}', 7),
        (b'{"id":7,"jsonrpc":"2.0","method":"ping","params":{"a":"' + b"x" * 300_000 + b'"}}', 7),
        (b'{"id":7,"id":8,"jsonrpc":"2.0","method":"ping"}', None),
    ],
)
def test_r6_a_refusal_has_the_id_of_the_request(through: Through, text: bytes, id: Any) -> None:
    exchange = through("strict").post(text, tokens.support(), like=rpc("ping"), chunked=len(text) > 1000)
    exchange.refused({400, 413})
    assert exchange.response.json.get("id") == id


def test_r12_an_argument_is_added_as_the_schema_spells_it(through: Through) -> None:
    gateway = through("strict")

    def seen(*names: str) -> list[str]:
        properties = {name: {"type": "string"} for name in names}
        schema = {"type": "object", "properties": properties, "required": list(names)}
        tool = {"name": "crm.get_customer", "inputSchema": schema}
        gateway.upstream.answer = lambda request: json_answer(result({"tools": [tool]}, request.json["id"]))
        exchange = gateway.post(rpc("tools/list"), tokens.support())
        (shown,) = exchange.response.rpc()["result"]["tools"]
        gateway.upstream.reset()
        return list(shown["inputSchema"]["properties"])

    for names in (["organizationId"], ["organization_id"], ["OrganizationID", "organization_id"]):
        assert seen(*names, "query") == ["query"]
        # Each on a connection of its own, so that both workers receive some.
        for _ in range(8):
            exchange = gateway.post(call(LEGACY, "crm.get_customer", {"query": "x"}), tokens.support())
            arguments = exchange.forwarded().json["params"]["arguments"]
            assert arguments == {"query": "x", **dict.fromkeys(names, tokens.ORGANIZATION)}


@ERAS
def test_r15_the_model_reads_why_a_call_is_refused(through: Through, era: str) -> None:
    exchange = through("strict").post(call(era, "crm.discount", {"percent": 50}), tokens.manager(), era)
    exchange.refused(200, None, "blocked")
    assert exchange.record["reason"] == "condition_not_met"
    found = exchange.response.rpc()["result"]
    assert found["isError"] is True and found["content"] == [{"type": "text", "text": MESSAGE}]
    assert (found.get("resultType") == "complete") == (era == MODERN)


def test_r15_a_prompt_has_an_error_with_the_message(through: Through) -> None:
    body = rpc("prompts/get", {"name": "customer_summary", "arguments": {"tone": "rude"}})
    exchange = through("strict").post(body, tokens.support()).refused(200, -32602, "blocked")
    assert exchange.response.rpc()["error"]["message"] == MESSAGE
