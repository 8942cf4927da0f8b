"""Arguments that identify the caller have the values of the token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import ARGUMENTS, TOOLS, policy
from .harness.variants import ERAS

LISTENERS = {
    "crm": Listener(policy()),
    "own_names_only": Listener(policy(builtin_arguments=False)),
    "compound": Listener(policy(arguments={"crm_customer_number": {"set": "organization"}})),
}

USER, ORGANIZATION = tokens.USER, tokens.ORGANIZATION

Pair = tuple[str, str]


def send(
    gateway: Gateway, era: str, arguments: str, tool: str = "crm.get_customer", token: str | None = None, **more: Any
) -> Exchange:
    """A call whose arguments have exactly this text."""
    like = call(era, tool, {"*": 0})
    body = encoded(like).replace(b'{"*":0}', arguments.encode())
    return gateway.post(body, token or tokens.support(), era, like=like, **more)


def expect(gateway: Gateway, era: str, pair: Pair, tool: str = "crm.get_customer", **more: Any) -> None:
    """The server gets the call with these arguments, and not a byte else is different."""
    written, expected = pair
    like = call(era, tool, {"*": 0})
    body = encoded(like).replace(b'{"*":0}', expected.encode())
    send(gateway, era, written, tool, **more).forwarded(body)


def renamed(name: str) -> Pair:
    """An argument spelled like this keeps its spelling and loses its value."""
    return f'{{"a":1,{name}:"user-bob"}}', f'{{"a":1,{name}:"{USER}"}}'


SPELLINGS = [
    '"user_id"',
    '"userId"',
    '"UserID"',
    '"USER_ID"',
    '"user-id"',
    '"user.id"',
    '"user id"',
    '"userid"',
    '"_user_id_"',
    '"user__id"',
    '"u\\u0073er_id"',
    '"user\\u005fid"',
    '"user:id"',
    '"user/user_id"',
    '"$user_id"',
    '"u\u017fer_id"',
    '"u\\u017fer_id"',
    '"\uff55\uff53\uff45\uff52\uff3f\uff49\uff44"',
    '"us\u200ber_id"',
    '"user_id\u2060"',
    '"\ufeffuser_id"',
    '"us\u00ader_id"',
    '"\u202euser_id"',
    '"user_\u0131d"',
    '"user_\u0130d"',
    '"\u1d58ser_id"',
    '"\U0001d42eser_id"',
    '"\u00fcser_id"',
    '"u\u0308ser_id"',
]


@ERAS
@pytest.mark.parametrize("name", SPELLINGS)
def b02_every_spelling_of_an_identity_argument(gateway: Gateway, era: str, name: str) -> None:
    expect(gateway, era, renamed(name))


OTHER_NAMES = ['"user_identity"', '"users"', '"id"', '"superuser_id_card"', '"user_idea"', '"buser_id"', '"\u0443ser_note"']


@pytest.mark.parametrize("name", OTHER_NAMES)
def b02_names_that_only_resemble_one_are_data(gateway: Gateway, name: str) -> None:
    text = f'{{{name}:"user-bob"}}'
    expect(gateway, LEGACY, (text, text))


SETS: dict[str, Pair] = {
    "text": ('{"user_id":"user-bob"}', f'{{"user_id":"{USER}"}}'),
    "both": ('{"user_id":"x","organization_id":"org-b"}', f'{{"user_id":"{USER}","organization_id":"{ORGANIZATION}"}}'),
    "empty_text": ('{"user_id":""}', f'{{"user_id":"{USER}"}}'),
    "number": ('{"user_id":42}', f'{{"user_id":"{USER}"}}'),
    "null": ('{"user_id":null}', f'{{"user_id":"{USER}"}}'),
    "boolean": ('{"user_id":true}', f'{{"user_id":"{USER}"}}'),
    "list": ('{"user_id":["user-bob","user-eve"]}', f'{{"user_id":["{USER}"]}}'),
    "empty_list": ('{"user_id":[]}', f'{{"user_id":["{USER}"]}}'),
    "long": (f'{{"user_id":"{"b" * 5000}"}}', f'{{"user_id":"{USER}"}}'),
    "with_space": ('{ "user_id" :\t"x" ,\n"a" : 1 }', f'{{ "user_id" :\t"{USER}" ,\n"a" : 1 }}'),
    "two_spellings": ('{"user_id":"x","userId":"y"}', f'{{"user_id":"{USER}","userId":"{USER}"}}'),
    "nested": ('{"filter":{"user_id":"x","a":[]}}', f'{{"filter":{{"user_id":"{USER}","a":[]}}}}'),
    "in_lists": ('{"a":[1,[{"userId":"x"}],{"USER_ID":2}]}', f'{{"a":[1,[{{"userId":"{USER}"}}],{{"USER_ID":"{USER}"}}]}}'),
    "deep": (
        '{"a":{"b":{"c":{"d":[{"e":{"user_id":1}}]}}}}',
        f'{{"a":{{"b":{{"c":{{"d":[{{"e":{{"user_id":"{USER}"}}}}]}}}}}}}}',
    ),
    "by_parent": ('{"organization":{"id":"org-b","x":1}}', ""),
    "escapes_beside": ('{"user_id":"x","t":"\\u00e9\\/\\n\u00e9"}', f'{{"user_id":"{USER}","t":"\\u00e9\\/\\n\u00e9"}}'),
}


@ERAS
@pytest.mark.parametrize("pair", [p for n, p in SETS.items() if p[1]], ids=[n for n, p in SETS.items() if p[1]])
def b28_values_are_replaced_at_any_depth(gateway: Gateway, era: str, pair: Pair) -> None:
    expect(gateway, era, pair)


@ERAS
def b28_an_object_where_an_identity_belongs_is_refused(gateway: Gateway, era: str) -> None:
    for arguments in ('{"user_id":{"id":"user-bob"}}', '{"a":{"user_id":{"$ne":null}}}', '{"user_id":[{"id":1}]}'):
        exchange = send(gateway, era, arguments)
        if exchange.status == 200 and "result" in exchange.response.rpc():
            assert b"user-bob" not in exchange.received.body and b"$ne" not in exchange.received.body
        else:
            exchange.refused({200, 400}, -32602, "blocked")


def b28_a_number_stays_a_number_if_the_trusted_value_is_one(gateway: Gateway) -> None:
    token = tokens.token(sub="1007", org_id="0042")
    expect(gateway, LEGACY, ('{"user_id":7}', '{"user_id":1007}'), token=token)
    expect(gateway, LEGACY, ('{"user_id":"7"}', '{"user_id":"1007"}'), token=token)
    listed = send(gateway, LEGACY, '{"user_id":[7,8]}', token=token).forwarded()
    assert listed.arguments["user_id"] in ([1007], ["1007"])
    expect(gateway, LEGACY, ('{"organization_id":7}', '{"organization_id":"0042"}'), token=token)


def b28_a_trusted_value_is_quoted(gateway: Gateway) -> None:
    sub = 'a"b\\c/\u00e9\u2028'
    exchange = send(gateway, LEGACY, '{"user_id":"x"}', token=tokens.token(sub=sub))
    if exchange.status == 200:
        assert exchange.forwarded().arguments == {"user_id": sub}
    else:
        exchange.refused({400, 401, 403})


REMOVALS: dict[str, Pair] = {
    "only": ('{"role":"admin"}', "{}"),
    "first": ('{"role":"admin","a":1}', '{"a":1}'),
    "middle": ('{"a":1,"role":["admin"],"b":2}', '{"a":1,"b":2}'),
    "last": ('{"a":1,"role":{"name":"admin"}}', '{"a":1}'),
    "two_at_the_start": ('{"role":1,"Role":2,"a":1}', '{"a":1}'),
    "two_at_the_end": ('{"a":1,"role":1,"ROLE":2}', '{"a":1}'),
    "every_other": ('{"role":1,"a":1,"Role":2,"b":2,"ROLE":3}', '{"a":1,"b":2}'),
    "all_of_three": ('{"role":1,"Role":2,"ROLE":3}', "{}"),
    "nested": ('{"a":{"role":"admin"},"b":[{"role":1,"c":2}]}', '{"a":{},"b":[{"c":2}]}'),
    "inside_removed": ('{"role":{"role":{"user_id":1}},"a":1}', '{"a":1}'),
    "beside_a_set": ('{"role":"admin","user_id":"x"}', f'{{"user_id":"{USER}"}}'),
    "set_beside": ('{"user_id":"x","role":"admin"}', f'{{"user_id":"{USER}"}}'),
    "with_space": ('{ "a" : 1 , "role" : "admin" }', '{"a":1}'),
}


@ERAS
@pytest.mark.parametrize("pair", REMOVALS.values(), ids=REMOVALS)
def b28_arguments_are_removed_and_json_stays_whole(gateway: Gateway, era: str, pair: Pair) -> None:
    written, expected = pair
    assert send(gateway, era, written).forwarded().arguments == json.loads(expected)


@ERAS
def b28_rejected_arguments_stop_the_request(gateway: Gateway, era: str) -> None:
    for arguments in ('{"impersonate":"x"}', '{"a":[{"Im-Personate":null}]}', '{"IMPERSONATE":{}}'):
        send(gateway, era, arguments).refused({200, 400, 403}, None, "blocked")


@ERAS
def b28_kept_arguments_are_data(gateway: Gateway, era: str) -> None:
    text = '{"user_id":"user-bob","a":{"userId":[1.0]}}'
    expect(gateway, era, (text, text), "crm.assign_ticket")
    pair = ('{"user_id":"user-bob","organization_id":1}', f'{{"user_id":"user-bob","organization_id":"{ORGANIZATION}"}}')
    expect(gateway, era, pair, "crm.assign_ticket")


@ERAS
@pytest.mark.parametrize("arguments", ["{}", '{"a":1}', '{"organization_id":"org-b"}', '{"a":{"organization_id":"org-b"}}'])
def b28_a_tools_own_set_rule_adds_what_is_missing(gateway: Gateway, era: str, arguments: str) -> None:
    received = send(gateway, era, arguments, "crm.report", tokens.manager()).forwarded()
    assert received.arguments["organization_id"] == ORGANIZATION
    assert b"org-b" not in received.body


@ERAS
def b28_a_tools_own_set_rule_adds_missing_arguments_whole(gateway: Gateway, era: str) -> None:
    body = message(era, "tools/call", {"name": "crm.report"})
    received = gateway.post(body, tokens.manager(), era).forwarded()
    assert received.arguments == {"organization_id": ORGANIZATION}


IN_STRINGS = [
    '{"q":"{\\"user_id\\": \\"user-bob\\"}"}',
    '{"q":"[{\\"a\\":{\\"userId\\":1}}]"}',
    '{"a":[{"q":"  {\\"organization_id\\":1}"}]}',
    '{"q":"\\u007b\\"user_id\\":1}"}',
    '{"q":"{\\"q\\":\\"{\\\\\\"user_id\\\\\\":1}\\"}"}',
    '{"q":"{\\"role\\":\\"admin\\"}"}',
]


@ERAS
@pytest.mark.parametrize("arguments", IN_STRINGS, ids=range(len(IN_STRINGS)))
def b28_json_inside_a_string(gateway: Gateway, era: str, arguments: str) -> None:
    send(gateway, era, arguments).refused({200, 400}, {-32602, -32600}, "blocked")


HARMLESS_STRINGS = ['{"q":"user_id = 7"}', '{"q":"{user_id}"}', '{"q":"[note] about user_id"}', '{"q":"{\\"city\\":1}"}']


@pytest.mark.parametrize("arguments", HARMLESS_STRINGS)
def b28_text_is_not_taken_for_json(gateway: Gateway, arguments: str) -> None:
    expect(gateway, LEGACY, (arguments, arguments))


@ERAS
@pytest.mark.parametrize("name", ["user_id", "com.example/user_id", "com.example/tenant/userId"])
def b28_identity_in_meta(gateway: Gateway, era: str, name: str) -> None:
    body = call(era, "crm.get_customer", {"a": 1})
    body["params"].setdefault("_meta", {}).update({"x": 1.5, name: "user-bob", "y": {"role": "admin"}})
    received = gateway.post(body, tokens.support(), era).forwarded()
    meta = received.json["params"]["_meta"]
    assert (meta[name], meta["x"], meta["y"]) == (USER, 1.5, {})


def b28_identity_in_answers_to_elicitation(gateway: Gateway) -> None:
    """2026-07-28: the answers come with the retried call."""
    answers = {"who": {"action": "accept", "content": {"user_id": "user-bob", "role": "admin", "n": 1}}}
    body = call(MODERN, "crm.get_customer", {"a": 1}, inputResponses=answers)
    received = gateway.post(body, tokens.support(), MODERN).forwarded()
    assert received.json["params"]["inputResponses"]["who"]["content"] == {"user_id": USER, "n": 1}


def b28_identity_in_results_the_client_posts(gateway: Gateway) -> None:
    """2025-11-25: the answer is a message of its own."""
    body = {"jsonrpc": "2.0", "id": 5, "result": {"action": "accept", "content": {"userId": "user-bob", "n": 1}}}
    received = gateway.post(body, tokens.support()).forwarded(status=202)
    assert received.json["result"]["content"] == {"userId": USER, "n": 1}
    body = {"jsonrpc": "2.0", "id": 5, "result": {"content": {"impersonate": "x"}}}
    exchange = gateway.post(body, tokens.support())
    assert exchange.record["decision"] == "blocked"
    # The server waits for an answer, and receives an error.
    assert exchange.received.json["error"]["code"] == -32603 and b"impersonate\":" not in exchange.received.body


@ERAS
def b28_identity_in_prompt_arguments(gateway: Gateway, era: str) -> None:
    params = {"name": "customer_summary", "arguments": {"userId": "user-bob", "role": "admin", "tone": "x"}}
    received = gateway.post(message(era, "prompts/get", params), tokens.support(), era).forwarded()
    assert received.arguments == {"userId": USER, "tone": "x"}


@ERAS
def b28_identity_in_completions(gateway: Gateway, era: str) -> None:
    params = {
        "ref": {"type": "ref/prompt", "name": "customer_summary"},
        "argument": {"name": "city", "value": "B"},
        "context": {"arguments": {"organization_id": "org-b", "street": "x"}},
    }
    received = gateway.post(message(era, "completion/complete", params), tokens.support(), era).forwarded()
    assert received.json["params"]["context"]["arguments"] == {"organization_id": ORGANIZATION, "street": "x"}


URIS = [
    "crm://org-b/customers/1",
    "crm://org-a/../org-b/customers/1",
    "crm://org-a/./../org-b/1",
    "crm://org-a/%2e%2e/org-b/1",
    "crm://org-a/..%2forg-b/1",
    "crm://org-a%2f..%2forg-b/1",
    "crm://org-a\\..\\org-b/1",
    "crm://org-a/..\t/org-b",
    "crm://org-a@org-b/1",
    "crm://ORG-B/1",
    "CRM://org-b/1",
    "crm://public/../org-b/1",
    "crm://vault/1",
    "",
]


@ERAS
@pytest.mark.parametrize("uri", URIS)
def b28_resources_of_another_organization(gateway: Gateway, era: str, uri: str) -> None:
    body = message(era, "resources/read", {"uri": uri})
    gateway.post(body, tokens.support(), era).refused({200, 400, 403}, None, "blocked")


@pytest.mark.parametrize("organization", ["*", "org-a/..", "..", "org-a/*", "{user}", "", "public/../org-b"])
def b28_an_organization_is_no_pattern(gateway: Gateway, organization: str) -> None:
    body = message(LEGACY, "resources/read", {"uri": f"crm://{organization}/1"})
    other = message(LEGACY, "resources/read", {"uri": "crm://org-b/1"})
    token = tokens.token(org_id=organization)
    gateway.post(other, token).refused({200, 400, 401, 403})
    gateway.post(body, token).refused({200, 400, 401, 403})


@ERAS
def b28_own_resources_are_read(gateway: Gateway, era: str) -> None:
    for uri in ("crm://org-a/customers/1", "crm://public/faq"):
        body = message(era, "resources/read", {"uri": uri})
        gateway.post(body, tokens.support(), era).forwarded(encoded(body))


PARAMETERS = [("Mcp-Param-User-Id", "user-bob"), ("Mcp-Param-Role", "admin"), ("mcp-param-OrganizationId", "org-b")]


def b07_parameter_headers_follow_the_arguments(gateway: Gateway) -> None:
    """A server that checks them would refuse the call; one that believes them would be misled."""
    body = call(MODERN, "crm.get_customer", {"user_id": "user-bob", "role": "admin", "organizationId": "org-b"})
    received = gateway.post(body, tokens.support(), MODERN, PARAMETERS).forwarded()
    assert received.arguments == {"user_id": USER, "organizationId": ORGANIZATION}
    assert received.header("mcp-param-user-id") == USER
    assert received.header("mcp-param-organizationid") == ORGANIZATION
    assert received.header("mcp-param-role") is None


def b07_parameter_headers_without_an_argument_are_removed_or_refused(gateway: Gateway) -> None:
    body = call(MODERN, "crm.get_customer", {"query": "x"})
    exchange = gateway.post(body, tokens.support(), MODERN, PARAMETERS)
    if exchange.status == 200:
        values = [value for name, value in exchange.forwarded(body).headers if name.startswith("mcp-param")]
        assert not {"user-bob", "admin", "org-b"} & set(values)
    else:
        exchange.refused(400, -32020, "blocked")


def test_built_in_names_are_in_force_until_they_are_turned_off(
    gateway: Gateway, through: Callable[[str], Gateway]
) -> None:
    received = send(gateway, LEGACY, '{"tenantId":"t","is_admin":true,"a":1}').forwarded()
    assert received.arguments == {"tenantId": ORGANIZATION, "a": 1}
    send(gateway, LEGACY, '{"account_id":"x"}').refused({200, 400, 403}, None, "blocked")
    text = '{"tenantId":"t","is_admin":true,"account_id":"x"}'
    expect(through("own_names_only"), LEGACY, (text, text))
    assert "tenant_id" not in ARGUMENTS and "crm.report" in TOOLS


def test_the_record_names_arguments_and_not_their_values(gateway: Gateway) -> None:
    exchange = send(gateway, LEGACY, '{"user_id":"PRIVATE-VALUE","Role":"PRIVATE-VALUE","a":1}')
    exchange.forwarded()
    written = json.dumps(exchange.record)
    assert "user_id" in written.lower() and "role" in written.lower()


MISSPELLED = [
    '{"percent":5,"PERCENT":90}',
    '{"percent":5,"per_cent":90}',
    '{"Percent":5}',
    '{"percent":5,"\uff50ercent":90}',
    '{"percent":5,"percent[0]":90}',
    '{"percent":5,"/percent":90}',
]


@ERAS
@pytest.mark.parametrize("arguments", MISSPELLED)
def test_s1_an_argument_that_a_condition_reads_has_one_spelling(gateway: Gateway, era: str, arguments: str) -> None:
    exchange = send(gateway, era, arguments, "crm.discount", tokens.manager()).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_misspelled"
    assert "percent" in exchange.response.rpc()["error"]["message"]


def test_s1_other_arguments_of_a_condition_pass(gateway: Gateway) -> None:
    text = '{"percent":5,"Note":"PERCENT: 90","meta":{"Percent":1}}'
    expect(gateway, LEGACY, (text, text), "crm.discount", token=tokens.manager())


def in_string(text: str) -> str:
    """Arguments with a text."""
    return encoded({"q": text}).decode()


NEARLY_JSON = {
    "nan": '{"x":NaN,"organization":{"key":"E"}}',
    "nan_flat": '{"x":NaN,"filter.user_id":"E"}',
    "surrogate": '{"x":"\\ud800","user":{"id":"E"}}',
    "deep": "[" * 200 + '{"user":{"id":"E"}}',
    "duplicate": '{"x":1,"x":2,"user":{"id":"E"}}',
    "single_quotes": "{'user_id':'E'}",
    "apostrophe": '{"note":"it\'s","x":NaN,"user_id":"E"}',
    "string_in_string": '{"x":NaN,"q":"{\\"user_id\\":1}"}',
    "comment": '{"x":1 /* " */,"user_id":"E"}',
}


@ERAS
@pytest.mark.parametrize("text", NEARLY_JSON.values(), ids=NEARLY_JSON)
def test_s2_nearly_json_in_a_string(gateway: Gateway, era: str, text: str) -> None:
    exchange = send(gateway, era, in_string(text)).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_in_string"


def test_s2_json_in_a_string_below_a_key(gateway: Gateway) -> None:
    exchange = send(gateway, LEGACY, encoded({"user": '{"id":"E"}'}).decode())
    exchange.refused(200, -32602, "blocked")


SEVERAL_VALUES = [
    '{"op":1}\n{"user_id":"E"}',
    '{}{"user_id":"E"}',
    'null\n{"user_id":"E"}',
    '1 2 [{"user_id":"E"}]',
    '"x" {"user_id":"E"}',
    '{"op":"\n{"user_id":"E"}',
    '\x1e{"op":1}\n\x1e{"user_id":"E"}',
]


@ERAS
@pytest.mark.parametrize("text", SEVERAL_VALUES, ids=range(len(SEVERAL_VALUES)))
def test_s3_a_string_is_read_to_its_end(gateway: Gateway, era: str, text: str) -> None:
    exchange = send(gateway, era, in_string(text)).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_in_string"


@pytest.mark.parametrize("space", ["\u00a0", "\u1680", "\u2003", "\u2028", "\u200b", "\u3000", "\ufeff", "\x85", "\x1f", "\x0b"])
def test_s4_unicode_space_before_json(gateway: Gateway, space: str) -> None:
    """As UTF-8 and as escapes."""
    for raw in (True, False):
        text = json.dumps({"q": space + '{"user_id":"E"}'}, ensure_ascii=not raw)
        send(gateway, LEGACY, text).refused(200, -32602, "blocked")


HARMLESS = [
    "The user_id: 7 has role: admin, see [docs](https://example.com/user).",
    '# Title\n\n```json\n{"user_id": 1}\n```\n',
    "- [x] role: admin\n- user: bob",
    "[note] the user: role",
    "{{ user.name }}, your role: {role}",
    "SELECT user_id FROM t WHERE role = 'x'",
    "{ viewer { user { id role } } }",
    '{"city":"Berlin","note":"{user} has role: admin"}',
    "2026-11-29 08:00 user: x",
    "null and void, role: none",
    "1.5",
]


@pytest.mark.parametrize("text", HARMLESS, ids=range(len(HARMLESS)))
def test_s2_prose_and_code_pass(gateway: Gateway, text: str) -> None:
    arguments = in_string(text)
    expect(gateway, LEGACY, (arguments, arguments))


FLATTENED = [
    '"/user/id"',
    '"filter->user_id"',
    '"filter__user_id"',
    '"filter::userId"',
    '"filter|user_id"',
    '"where.user[id]"',
    '"user_id[0]"',
    '"user_id[]"',
    '"user.0.id"',
    '"filter\uff0euser_id"',
]


@ERAS
@pytest.mark.parametrize("name", FLATTENED)
def test_s9_flattened_spellings_are_set(gateway: Gateway, era: str, name: str) -> None:
    expect(gateway, era, renamed(name))


@ERAS
@pytest.mark.parametrize("name", ["filter[user_id][$eq]", "user_id.$ne", "user_id__in", "user_id ne", "filter.user_id.eq"])
def test_s9_conditions_on_an_identity_are_refused(gateway: Gateway, era: str, name: str) -> None:
    exchange = send(gateway, era, encoded({name: USER}).decode()).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_not_single"


def test_s9_nested_keys_make_up_a_name(through: Callable[[str], Gateway]) -> None:
    pair = ('{"crm":{"customer":{"number":"E"}}}', f'{{"crm":{{"customer":{{"number":"{ORGANIZATION}"}}}}}}')
    expect(through("compound"), LEGACY, pair)
    exchange = send(through("compound"), LEGACY, in_string('{"x":NaN,"crm":{"customer":{"number":"E"}}}'))
    exchange.refused(200, -32602, "blocked")


ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "cursor": ("tools/list", {"cursor": '{"user_id":"E"}'}),
    "initialize": ("initialize", {"capabilities": {"experimental": {"x": {"impersonate": "E"}}}}),
    "initialize_text": ("initialize", {"capabilities": {"experimental": {"x": '{"user_id":"E"}'}}}),
}


@pytest.mark.parametrize("case", ELSEWHERE.values(), ids=ELSEWHERE)
def test_s10_every_parameter_of_other_methods_is_searched(gateway: Gateway, case: tuple[str, dict[str, Any]]) -> None:
    method, params = case
    if method == "initialize":
        params = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "x", "version": "1"}, **params}
    gateway.post(message(LEGACY, method, params), tokens.support()).refused({200, 400, 403}, None, "blocked")


BESIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "task": (LEGACY, {"task": {"ttl": 1, "impersonate": "E"}}),
    "task_text": (LEGACY, {"task": {"ttl": 1, "x": '{"user_id":"E"}'}}),
    "key_of_input_responses": (MODERN, {"inputResponses": {"impersonate": {"action": "accept"}}}),
    "input_responses": (MODERN, {"inputResponses": {"x": {"content": '{"user_id":"E"}'}}}),
    "notifications": (MODERN, {"notifications": {"impersonate": True}}),
}


@pytest.mark.parametrize("case", BESIDE.values(), ids=BESIDE)
def test_s10_every_parameter_of_a_call_is_searched(gateway: Gateway, case: tuple[str, dict[str, Any]]) -> None:
    era, params = case
    body = call(era, "crm.get_customer", {"a": 1}, **params)
    gateway.post(body, tokens.support(), era).refused({200, 400, 403}, None, "blocked")


def test_s10_json_in_a_parameter_header(gateway: Gateway) -> None:
    body = call(MODERN, "crm.get_customer", {"a": "b"})
    headers: list[tuple[str, str]] = [("Mcp-Param-Filter", '{"user_id":"E"}')]
    gateway.post(body, tokens.support(), MODERN, headers).refused(400, -32020, "blocked")
