"""What a caller may not see stays hidden in every answer: lists, notifications, errors, tables, challenges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, encoded, event_stream, json_answer, listing, presents, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway, Through
from .harness.messages import LEGACY, rpc
from .harness.policy import policy
from .harness.results import HIDES, HIDES_IN_TEXTS, OTHERS, SSN, TOOL, ask, foreign, hides, judged, own, owned, rule, texts
from .harness.variants import STYLES

PROSE = f"Acme, SSN {SSN}"
DETECTS = rule(redact=["ssn"], detect=["email", "secret"])

LISTENERS = {
    "hides": Listener(judged(HIDES)),
    "keeps": Listener(judged(HIDES_IN_TEXTS)),
    "owned": Listener(judged(owned())),
    "detects": Listener(judged(DETECTS)),
    "plain": Listener(policy()),
    "withheld": Listener(policy(errors="withhold")),
    "passes": Listener(policy(upstream={"authorization": "pass"})),
    "large": Listener(judged(HIDES, max_response="16MiB")),
}

HIDDEN = "crm.purge"


def structured(content: Any, *said: str) -> dict[str, Any]:
    """A tool's answer with structured content, and other texts."""
    return result({"content": [{"type": "text", "text": text} for text in said], "structuredContent": content})


@STYLES
@pytest.mark.parametrize("text", ['[null,{"ssn":"%s"}]', '[true,[{"ssn":"%s"}]]', '[false,{"a":{"ssn":"%s"}}]'])
def test_s12_a_list_that_begins_with_a_word_is_json(through: Through, text: str, style: str) -> None:
    exchange = ask(through("keeps"), texts(text % SSN), style)
    hides(exchange)
    assert exchange.record["redacted"] == ["ssn"]


@pytest.mark.parametrize("text", ['[None,{"ssn":"%s"}]', '[null,{"ssn":"%s"},]', 'null\n{"ssn":"%s"}', '[NaN,{"ssn":"%s"}]'])
def test_s12_what_lenient_readers_take_for_json_is_withheld(through: Through, text: str) -> None:
    hides(ask(through("keeps"), texts(text % SSN)))


@STYLES
def test_s13_a_withheld_text_is_withheld_in_its_structured_copy(through: Through, style: str) -> None:
    exchange = ask(through("hides"), structured({"result": PROSE, "name": "Acme"}, PROSE), style)
    hides(exchange)
    assert exchange.response.rpc()["result"]["structuredContent"]["name"] == "Acme"


FORM = {"type": "object", "properties": {"a": {"type": "string", "title": PROSE, "oneOf": [{"const": "a", "title": PROSE}]}}}
NOTES: dict[str, dict[str, Any]] = {
    "log": {"method": "notifications/message", "params": {"level": "info", "data": {"msg": PROSE, "extra": None}}},
    "form": {"id": 5, "method": "elicitation/create", "params": {"message": "x", "requestedSchema": FORM}},
    "meta": {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1, "_meta": {"a": {"b": PROSE}}}},
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_s13_prose_in_the_data_of_a_notification_is_withheld(through: Through, note: dict[str, Any]) -> None:
    exchange = ask(through("hides"), event_stream({"jsonrpc": "2.0", **note}, texts("{}")))
    hides(exchange)
    assert len(exchange.response.events()) == 2


def test_s13_prose_in_the_detail_of_an_error_is_withheld(through: Through) -> None:
    error = {"code": -32000, "message": "x", "data": {"detail": PROSE}}
    hides(ask(through("hides"), {"jsonrpc": "2.0", "id": 1, "error": error}))


def is_answered(gateway: Gateway, text: str) -> bool:
    """Whether an answer with this text arrives. The client waits for a few seconds only."""
    return ask(gateway, texts(text)).status == 200


@pytest.mark.parametrize("part", ["eyJAKIA", "eyJAKIAABCDEFGHIJKLMNO1", "-----BEGIN AKIAABCDEFGHIJKLMNO1 ", "a@b.", "eyJaaaaaaaa."])
def test_s14_a_text_full_of_starts_of_secrets_takes_no_long_time(through: Through, part: str) -> None:
    gateway = through("detects")
    assert is_answered(gateway, part * (400_000 // len(part)))


def test_s14_secrets_are_hidden(through: Through) -> None:
    key = "AKIAABCDEFGHIJKLMNO1"
    exchange = ask(through("detects"), structured({"note": f"eyJ{key} and {key}"}))
    hides(exchange, key)


LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
LOG = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": {"ssn": SSN}}}


def asked(gateway: Gateway, method: str, said: Answer) -> Exchange:
    """What comes of a request about the server."""
    gateway.upstream.answer = said
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    return gateway.post(rpc(method, params if method == "initialize" else {}), tokens.support())


@pytest.mark.parametrize("method", ["ping", "initialize", *LISTS])
def test_s15_rules_hold_for_answers_that_are_no_results_of_calls(through: Through, method: str) -> None:
    answer = result({"tools": [], "_meta": {"ssn": SSN}, "customers": [{"ssn": SSN}]})
    for listener in ("hides", "keeps"):
        hides(asked(through(listener), method, event_stream(LOG, answer)))
        hides(asked(through(listener), method, json_answer(answer)))


def test_s15_a_list_and_what_a_server_says_of_itself_stay(through: Through) -> None:
    tool = {"name": TOOL, "description": "Gets a customer by id.", "inputSchema": {"type": "object", "properties": {"ssn": {"type": "string"}}}}
    said = listing("tools", [tool])
    assert asked(through("hides"), "tools/list", json_answer(said)).response.rpc() == said
    said = presents(LEGACY, instructions="Ask for the id first.")
    assert asked(through("hides"), "initialize", json_answer(said)).response.rpc() == said


@pytest.mark.parametrize("said", [Answer(202, sized=True), Answer(202), json_answer(b"", 202), json_answer(SSN.encode(), 202, "text/plain")])
def test_s15_the_answer_to_a_notification_shows_no_data(through: Through, said: Answer) -> None:
    gateway = through("hides")
    gateway.upstream.answer = said
    exchange = gateway.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, tokens.support())
    assert exchange.status == 202 and exchange.response.body == b""


def test_s16_a_text_stays_withheld_beside_an_unknown_member(through: Through) -> None:
    text = f"ann@acme.example has SSN {SSN}"
    for said in ({**texts(text), "extra": 1}, {"jsonrpc": "2.0", "Result": texts(text)["result"]}):
        hides(ask(through("detects"), said), SSN, "ann@")


def test_s17_an_object_without_an_owner_in_a_map_is_refused(through: Through) -> None:
    exchange = ask(through("owned"), structured({"c1": own(), "c2": {"name": OTHERS}}))
    hides(exchange)
    assert exchange.record["reason"] == "result_not_owned"


def test_s17_a_text_beside_a_list_does_not_repeat_what_was_taken_out(through: Through) -> None:
    exchange = ask(through("owned"), structured({"title": OTHERS, "items": [own(), foreign()]}))
    hides(exchange)
    assert exchange.response.rpc()["result"]["structuredContent"]["items"] == [own()]


def test_s17_keys_inside_a_hidden_field_are_hidden(through: Through) -> None:
    hides(ask(through("keeps"), structured({"ssn": {SSN: "x"}}, f"see {SSN}")))


ERRORS: dict[str, Answer] = {
    "no_rpc": json_answer({"detail": f"no {HIDDEN}"}),
    "list": json_answer([{"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": HIDDEN}}]),
    "escaped": json_answer(b'{"jsonrpc":"2.0","id":1,"\\u0065rror":{"code":1,"message":"crm.purge"}}'),
    "number": json_answer(result({"isError": 1, "content": [{"type": "text", "text": HIDDEN}]})),
    "status": json_answer(result({"note": HIDDEN}), 500),
    "text": json_answer(f"no {HIDDEN}".encode(), 404, "text/plain"),
    "html": json_answer(f"<p>{HIDDEN}</p>".encode(), 500, "text/html"),
    "problem": json_answer({"detail": HIDDEN}, 400, "application/problem+json"),
    "stream": event_stream(result({"note": HIDDEN})).with_(status=500),
    "stream_of_text": event_stream(b"no crm.purge").with_(status=500),
}


@pytest.mark.parametrize("listener", ["plain", "withheld"])
@pytest.mark.parametrize("said", ERRORS.values(), ids=ERRORS)
def test_s18_an_error_in_any_form_names_no_hidden_tool(through: Through, said: Answer, listener: str) -> None:
    hides(ask(through(listener), said), HIDDEN)


TABLES: dict[str, Any] = {
    "rows": {"columns": ["id", "ssn"], "rows": [["1", SSN]]},
    "described": {"fields": [{"name": "ssn"}], "data": [[SSN]]},
    "head_first": [["id", "ssn"], ["1", SSN]],
    "nested": {"schema": {"fields": [{"name": "ssn"}]}, "rows": [{"f": [{"v": SSN}]}]},
    "named": [{"name": "ssn", "value": SSN}],
}


@STYLES
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_s19_a_hidden_column_is_hidden(through: Through, table: Any, style: str) -> None:
    for said in (structured({"result": table}), texts(json.dumps(table))):
        exchange = ask(through("keeps"), said, style)
        hides(exchange)
        assert exchange.record["redacted"] == ["ssn"]


CHALLENGES = {
    "401": (401, "www-authenticate", 'Bearer resource_metadata="https://evil.example/"', "upstream_challenged"),
    "403": (403, "www-authenticate", "Bearer", "upstream_challenged"),
    "307": (307, "location", "http://10.0.0.7/mcp/", "upstream_redirected"),
    "302": (302, "location", "https://evil.example/", "upstream_redirected"),
}


@pytest.mark.parametrize(("status", "name", "value", "reason"), CHALLENGES.values(), ids=CHALLENGES)
def test_s20_a_challenge_or_redirect_of_the_server_does_not_pass(
    through: Through, status: int, name: str, value: str, reason: str
) -> None:
    said = Answer(status, [(name, value), ("content-type", "text/plain")], [b"x"], sized=True)
    exchange = ask(through("plain"), said)
    assert exchange.status == exchange.logged_status == 502
    assert exchange.response.header(name) is None
    assert exchange.record["reason"] == reason and exchange.record["next_action"]
    assert ask(through("passes"), said).response.header(name) == value


def test_k2_an_answer_with_too_many_values_is_refused(through: Through) -> None:
    gateway = through("large")
    for said in (structured(json.loads(f"[{'0,' * 1_000_001}0]")), texts(f"[{'0,' * 1_000_001}0]")):
        exchange = ask(gateway, said, "events")
        assert exchange.response.error_code() == -32603
        assert exchange.record["reason"] == "upstream_answer_too_many_values"
    assert ask(gateway, texts("{}")).status == 200


def test_k8_a_held_answer_in_many_chunks_takes_no_long_time(through: Through) -> None:
    said = json_answer(encoded(structured({"a": ["x" * 90] * 10_000}))).with_(pause=0.0).split(4096)
    gateway = through("hides")
    assert ask(gateway, said).forwarded()


@pytest.mark.parametrize("form", ["chain", "one_of"])
def test_k8_a_schema_with_many_references_takes_no_long_time(through: Through, form: str) -> None:
    count = 8_000
    reference = [{"$ref": f"#/$defs/d{number + 1}"} for number in range(count)]
    choice = [{"oneOf": [each, {"required": ["role"]}]} for each in reference]
    definitions = {f"d{number}": each for number, each in enumerate(reference if form == "chain" else choice)}
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}, "role": {}}, "$defs": {**definitions, f"d{count}": {}}}
    exchange = asked(through("hides"), "tools/list", json_answer(listing("tools", [{"name": TOOL, "inputSchema": schema}])))
    assert exchange.status == 200 and b"role" not in exchange.response.body


def test_k8_a_long_key_takes_no_long_time(through: Through) -> None:
    assert ask(through("keeps"), structured({"\ufdfa" * 80_000: 1, "ssn": SSN})).status == 200
