"""Headers that mirror arguments (`param_headers`) are compared with the body and rebuilt for the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway, Through
from .harness.http import Received, Text
from .harness.mcp_server import McpServer
from .harness.messages import LEGACY, MODERN, HeaderList, call, message, sentinel
from .harness.policy import policy
from .harness.sdk_client import connected
from .harness.variants import CLIENTS

# Arguments, some of which say who is calling, and what follows `Mcp-Param-` in their headers.
DECLARED = {
    "region": "Region",
    "amount": "AMOUNT",
    "where.zone": "Zone",
    "where.user_id": "Who",
    "organization_id": "Organization-Id",
    "role": "Role",
}
ADDED = {"organization_id": {"set": "organization"}}

TOOLS = {
    "crm.get_customer": {"param_headers": DECLARED},
    "crm.report": {"param_headers": DECLARED, "arguments": ADDED},
    "crm.search_*": {"param_headers": {"region": "Area", "area": "Region"}},
    "crm.search_regions": {"param_headers": {"region": "Region"}},
    "docs.find": {"param_headers": DECLARED, "arguments": ADDED},
}

POLICY = policy(tools=TOOLS, anonymous={"tools": ["docs.*"]})
BUFFERED = policy(tools=TOOLS, hold="buffer_filter")
REAL = {"crm.get_customer": {"arguments": ADDED}}
REAL_DECLARED = {"crm.get_customer": {"arguments": ADDED, "param_headers": {"organization_id": "Organization-Id"}}}

OFFICIAL_SERVERS = True
LISTENERS = {
    "crm": Listener(POLICY),
    "http2_server": Listener(POLICY, "upstream_h2"),
    "buffered": Listener(BUFFERED, stop_iteration=False, buffer_filter=1024 * 1024),
    "observe": Listener(policy(tools=TOOLS, mode="observe")),
    "real": Listener(policy(tools=REAL), "json_server"),
    "real_declared": Listener(policy(tools=REAL_DECLARED), "json_server"),
}

LISTENING = pytest.mark.parametrize("listener", ["crm", "http2_server", "buffered"])
USER, ORGANIZATION = tokens.USER, tokens.ORGANIZATION
MISMATCH = -32020


@pytest.fixture
def style() -> str:
    """How the official server answers here."""
    return "json"


def param(name: str, value: Text) -> tuple[Text, Text]:
    """The header of an argument."""
    return f"Mcp-Param-{name}", value


def written(arguments: str, tool: str = "crm.get_customer") -> bytes:
    """A call whose arguments have exactly this text."""
    return encoded(call(MODERN, tool, {"*": 0})).replace(b'{"*":0}', arguments.encode())


def send(
    gateway: Gateway,
    arguments: str,
    *headers: tuple[Text, Text],
    tool: str = "crm.get_customer",
    token: str | None = "",
    **more: Any,
) -> Exchange:
    """Such a call, of a manager unless told otherwise."""
    caller = tokens.manager() if token == "" else token
    like = call(MODERN, tool)
    return gateway.post(written(arguments, tool), caller, MODERN, list(headers), like=like, **more)


def stated(headers: HeaderList) -> dict[str, Text]:
    """The headers of arguments by what follows the prefix."""
    return {str(name).lower().removeprefix("mcp-param-"): value for name, value in headers}


def params(received: Received) -> dict[str, Text]:
    """The same as the server got them, each once."""
    pairs: HeaderList = [
        pair for pair in received.headers if pair[0].lower().replace("_", "-").startswith("mcp-param-")
    ]
    assert len(stated(pairs)) == len(pairs), pairs
    return stated(pairs)


RIGHT: dict[str, tuple[str, HeaderList]] = {
    "nothing": ("{}", []),
    "text": ('{"region":"eu"}', [param("region", "eu")]),
    "null": ('{"region":null,"amount":null}', []),
    "empty_text": ('{"region":""}', [param("region", "")]),
    "spaces_inside": ('{ "region" : "e u" }', [param("region", "e u")]),
    "escapes": ('{"r\\u0065gion":"\\u0065u"}', [param("region", "eu")]),
    "encoded": ('{"region":"eu"}', [param("region", sentinel("eu"))]),
    "not_ascii": ('{"region":"\u00e9\U0001f600"}', [param("region", sentinel("\u00e9\U0001f600"))]),
    "text_like_encoded": ('{"region":"=?base64?ZXU=?="}', [param("region", sentinel("=?base64?ZXU=?="))]),
    "text_like_a_number": ('{"region":"42"}', [param("region", "42")]),
    "number": ('{"amount":42}', [param("amount", "42")]),
    "number_written_longer": ('{"amount":42}', [param("amount", "42.0")]),
    "number_written_shorter": ('{"amount":42.0}', [param("amount", "42")]),
    "number_with_exponent": ('{"amount":4.2e1}', [param("amount", "42")]),
    "negative": ('{"amount":-7}', [param("amount", "-7")]),
    "large": ('{"amount":12345678901234567890}', [param("amount", "12345678901234567890")]),
    "boolean": ('{"region":false}', [param("region", "false")]),
    "inside": ('{"where":{"zone":"a","x":{"zone":"b"}}}', [param("zone", "a")]),
    "inside_only": ('{"zone":"a","where":{}}', []),
    "inside_nothing": ('{"where":null}', []),
    "inside_a_list": ('{"where":[{"zone":"a"}]}', []),
    "a_list": ('{"region":["eu"]}', []),
    "an_object": ('{"region":{"region":"eu"}}', []),
    "name_in_capitals": ('{"region":"eu"}', [("MCP-PARAM-REGION", "eu")]),
    "trusted_already": (f'{{"organization_id":"{ORGANIZATION}"}}', [param("organization-id", ORGANIZATION)]),
    "undeclared": ('{"x":"1"}', [param("x", "1")]),
}


@LISTENING
@CLIENTS
@pytest.mark.parametrize("name", RIGHT)
def b07_right_headers_and_their_call_pass_as_they_are(
    through: Through, listener: str, name: str, http2: bool
) -> None:
    arguments, headers = RIGHT[name]
    received = send(through(listener), arguments, *headers, http2=http2).forwarded(written(arguments))
    assert params(received) == stated(headers)


WRONG: dict[str, tuple[str, HeaderList]] = {
    "other": ('{"region":"eu"}', [param("region", "us")]),
    "other_case": ('{"region":"eu"}', [param("region", "EU")]),
    "missing": ('{"region":"eu"}', []),
    "missing_for_empty_text": ('{"region":""}', []),
    "missing_for_false": ('{"region":false}', []),
    "missing_for_zero": ('{"amount":0}', []),
    "missing_inside": ('{"where":{"zone":"a"}}', []),
    "extra": ("{}", [param("region", "eu")]),
    "extra_for_null": ('{"region":null}', [param("region", "null")]),
    "extra_and_empty": ("{}", [param("region", "")]),
    "extra_for_a_list": ('{"region":["eu"]}', [param("region", "eu")]),
    "extra_for_an_object": ('{"where":{"zone":{"zone":"a"}}}', [param("zone", "a")]),
    "elsewhere": ('{"zone":"a"}', [param("zone", "a")]),
    "in_a_list": ('{"where":[{"zone":"a"}]}', [param("zone", "a")]),
    "other_spelling": ('{"Region":"eu"}', [param("region", "eu")]),
    "another_arguments": ('{"x":"eu"}', [param("region", "eu")]),
    "repeated": ('{"region":"eu"}', [param("region", "eu"), param("region", "eu")]),
    "repeated_otherwise": ('{"region":"eu"}', [param("region", "eu"), param("region", "us")]),
    "joined": ('{"region":"eu"}', [param("region", "eu,eu")]),
    "underscores": ('{"region":"eu"}', [("mcp_param_region", "eu")]),
    "base64_in_capitals": ('{"region":"eu"}', [param("region", sentinel("eu").replace("base64", "BASE64"))]),
    "base64_without_padding": ('{"region":"eu"}', [param("region", sentinel("eu").replace("=?=", "?="))]),
    "base64_not_canonical": ('{"region":"eu"}', [param("region", "=?base64?ZXV=?=")]),
    "base64_of_no_text": ('{"region":"\ufffd"}', [param("region", sentinel(b"\xff"))]),
    "base64_not_ended": ('{"region":"eu"}', [param("region", sentinel("eu").removesuffix("?="))]),
    "base64_of_other": ('{"region":"eu"}', [param("region", sentinel("us"))]),
    "not_encoded": ('{"region":"=?base64?ZXU=?="}', [param("region", "=?base64?ZXU=?=")]),
    "bytes": ('{"region":"\u00e9"}', [param("region", "\u00e9")]),
    "no_text": ('{"region":"\u00ff"}', [param("region", b"\xff")]),
    "other_number": ('{"amount":42}', [param("amount", "42.5")]),
    "no_number": ('{"amount":42}', [param("amount", "42x")]),
    "number_in_hexadecimal": ('{"amount":42}', [param("amount", "0x2a")]),
    "numbers_no_float_tells_apart": ('{"amount":9007199254740993}', [param("amount", "9007199254740992")]),
    "other_boolean": ('{"region":true}', [param("region", "1")]),
    "boolean_in_capitals": ('{"region":true}', [param("region", "True")]),
    "text_is_no_number": ('{"region":"007"}', [param("region", "7")]),
    "text_with_exponent": ('{"region":"1e2"}', [param("region", "100")]),
    "text_with_sign": ('{"region":"+1"}', [param("region", "1")]),
    "lie_about_the_caller": ('{"organization_id":"org-b"}', [param("organization-id", ORGANIZATION)]),
    "lie_about_the_caller_only": ("{}", [param("organization-id", ORGANIZATION)]),
}


@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "buffered"])
@pytest.mark.parametrize("name", WRONG)
def b07_wrong_headers_are_refused(through: Through, listener: str, name: str, http2: bool) -> None:
    arguments, headers = WRONG[name]
    send(through(listener), arguments, *headers, http2=http2).refused(400, MISMATCH, "blocked")


def b07_an_argument_that_is_there_twice_is_refused(gateway: Gateway) -> None:
    send(gateway, '{"region":"eu","region":"us"}', param("region", "us")).refused(400, -32700, "blocked")


ORG_B = '{"organization_id":"org-b"}'

# What the client says in arguments and headers, and what the server gets of both.
REBUILT: dict[str, tuple[str, HeaderList, dict[str, Any], dict[str, str]]] = {
    "set": (
        ORG_B,
        [param("organization-id", "org-b")],
        {"organization_id": ORGANIZATION},
        {"organization-id": ORGANIZATION},
    ),
    "set_beside_others": (
        '{"region":"eu","organization_id":"eu"}',
        [param("region", "eu"), param("organization-id", "eu")],
        {"region": "eu", "organization_id": ORGANIZATION},
        {"region": "eu", "organization-id": ORGANIZATION},
    ),
    "set_inside": (
        '{"where":{"user_id":"user-bob","zone":"user-bob"}}',
        [param("who", "user-bob"), param("zone", "user-bob")],
        {"where": {"user_id": USER, "zone": "user-bob"}},
        {"who": USER, "zone": "user-bob"},
    ),
    "set_from_null": (
        '{"organization_id":null}',
        [],
        {"organization_id": ORGANIZATION},
        {"organization-id": ORGANIZATION},
    ),
    "set_from_a_list": ('{"organization_id":["org-b"]}', [], {"organization_id": [ORGANIZATION]}, {}),
    "removed": (
        '{"region":"eu","role":"admin"}',
        [param("region", "eu"), param("role", "admin")],
        {"region": "eu"},
        {"region": "eu"},
    ),
    # No list tells the client of it, nor of its header.
    "removed_without_header": ('{"role":"admin"}', [], {}, {}),
    "removed_encoded": ('{"role":"\u00e9"}', [param("role", sentinel("\u00e9"))], {}, {}),
}


@pytest.mark.parametrize("listener", ["crm", "http2_server"])
@pytest.mark.parametrize("name", REBUILT)
@CLIENTS
def b25_the_header_has_the_rewritten_value(through: Through, listener: str, name: str, http2: bool) -> None:
    arguments, headers, expected, mirrored = REBUILT[name]
    received = send(through(listener), arguments, *headers, http2=http2).forwarded()
    assert received.arguments == expected
    assert params(received) == mirrored


@pytest.mark.parametrize("arguments", ["{}", ' {"region":null}', '{"organizationId":"org-b"}', '{"ORGANIZATION_ID":null}'])
def b25_the_header_of_an_added_argument_is_added(gateway: Gateway, arguments: str) -> None:
    received = send(gateway, arguments, tool="crm.report").forwarded()
    assert received.arguments.get("organization_id") == ORGANIZATION
    assert params(received) == {"organization-id": ORGANIZATION}


ORGANIZATIONS = {
    "\u00f6rg": sentinel("\u00f6rg"),
    "=?base64?eA==?=": sentinel("=?base64?eA==?="),
    "7": "7",
}


@pytest.mark.parametrize("organization", ORGANIZATIONS)
def b25_an_added_header_is_encoded_as_the_protocol_requires(gateway: Gateway, organization: str) -> None:
    exchange = send(gateway, "{}", tool="crm.report", token=tokens.manager(org_id=organization))
    received = exchange.forwarded()
    assert received.arguments == {"organization_id": organization}
    assert params(received) == {"organization-id": ORGANIZATIONS[organization]}


def b25_without_a_caller_there_is_no_header_of_one(gateway: Gateway) -> None:
    exchange = send(gateway, ORG_B, param("organization-id", "org-b"), tool="docs.find", token=None)
    received = exchange.forwarded()
    assert received.arguments == {} and params(received) == {}
    send(gateway, "{}", param("organization-id", "org-b"), tool="docs.find", token=None).refused(400, MISMATCH)


def test_the_rule_of_the_most_specific_tool_applies(gateway: Gateway) -> None:
    """`crm.search_*` says `Area` of the argument, `crm.search_regions` says `Region`."""
    area, region = param("area", "eu"), param("region", "eu")
    send(gateway, '{"region":"eu"}', area, tool="crm.search_x").forwarded()
    send(gateway, '{"region":"eu"}', region, tool="crm.search_x").refused(400, MISMATCH)
    send(gateway, '{"region":"eu"}', region, tool="crm.search_regions").forwarded()


def test_other_tools_and_methods_declare_nothing(gateway: Gateway) -> None:
    headers: HeaderList = [param("region", "us")]
    received = send(gateway, '{"region":"eu"}', *headers, tool="crm.other").forwarded()
    assert params(received) == {"region": "us"}
    prompt = message(MODERN, "prompts/get", {"name": "crm.get_customer", "arguments": {"region": "eu"}})
    assert params(gateway.post(prompt, tokens.manager(), MODERN).forwarded(encoded(prompt))) == {}


@pytest.mark.parametrize("version", [LEGACY, "2025-06-18", "2025-03-26"])
def b07_earlier_versions_have_no_such_headers(gateway: Gateway, version: str) -> None:
    body = call(LEGACY, "crm.report", {"region": "eu", "organization_id": ORGANIZATION})
    headers: HeaderList = [param("region", "us"), param("organization-id", "org-b")]
    assert params(gateway.post(body, tokens.manager(), version, headers).forwarded(encoded(body))) == {}


@pytest.mark.parametrize("name", REBUILT)
def b19_a_buffer_filter_has_let_the_headers_go(through: Through, name: str) -> None:
    """What would have to change in them is refused; the rest of an edit is not."""
    arguments, headers, expected, mirrored = REBUILT[name]
    exchange = send(through("buffered"), arguments, *headers)
    if stated(headers) == mirrored:
        assert exchange.forwarded().arguments == expected
    else:
        exchange.refused(500, -32603, "blocked")
        assert exchange.record["reason"] == "headers_left"


def test_in_observe_mode_wrong_headers_pass(through: Through) -> None:
    exchange = send(through("observe"), ORG_B, param("organization-id", "org-c"))
    assert params(exchange.received) == {"organization-id": "org-c"}
    assert exchange.received.arguments == {"organization_id": "org-b"}
    assert (exchange.record["decision"], exchange.record["reason"]) == ("draft", "header_mismatch")


def ask_the_official_server(port: int, arguments: dict[str, Any]) -> None:
    """A call by the official client, which mirrors what the tool's schema says."""

    async def connect_and_call() -> None:
        async with connected(port, MODERN, False, tokens.support()) as client:
            await client.list_tools()
            assert not (await client.call_tool("crm.get_customer", arguments)).is_error

    asyncio.run(asyncio.wait_for(connect_and_call(), 30))


@pytest.mark.parametrize("arguments", [{"query": "x"}, {"query": "x", "organization_id": "org-b"}])
def test_an_official_server_accepts_what_was_added(envoy: Envoy, server: McpServer, arguments: dict[str, Any]) -> None:
    ask_the_official_server(envoy.ports["real_declared"], arguments)
    assert [called["organization_id"] for called in server.calls] == [ORGANIZATION]


def test_an_official_server_refuses_a_missing_undeclared_header(envoy: Envoy, server: McpServer) -> None:
    with pytest.raises((MCPError, ExceptionGroup)):
        ask_the_official_server(envoy.ports["real"], {"query": "x"})
    assert server.calls == []
