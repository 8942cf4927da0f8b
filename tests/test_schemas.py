"""Lists do not ask for arguments that identify the caller."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from .harness import tokens
from .harness.answers import answer, encoded, json_answer, listing
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.mcp_server import McpServer, in_each_style
from .harness.messages import LEGACY, call, message
from .harness.policy import TOOLS, policy
from .harness.schemas import RULED, Schemas, without
from .harness.sdk_client import connected, with_client
from .harness.upstream import Upstream
from .harness.variants import ERAS, MODES, STYLES

# `set` under `tools` adds what a call leaves out, so there the model need not know of it.
ADDED = policy(
    tools={
        **TOOLS,
        "crm.*": {"arguments": {"organization_id": {"set": "organization"}}},
        "crm.get_customer": {
            "arguments": {"user_id": {"set": "user"}},
            "param_headers": {"organization_id": "Organization-Id"},
        },
    },
    prompts={"*": {"arguments": {"user_id": {"set": "user"}}}},
)

OFFICIAL_SERVERS = True
LISTENERS = {
    "crm": Listener(policy()),
    "added": Listener(ADDED),
    "observed": Listener(policy(mode="observe")),
    **in_each_style(ADDED),
}

FORMS = pytest.mark.parametrize("form", ["json", "events"])


def tool(name: str, schema: bytes) -> bytes:
    """A tool with text around its schema that must survive."""
    return f'{{"name":"{name}", "inputSchema":'.encode() + schema + b', "outputSchema":{"required":["role"]}}'


def tools(*items: bytes) -> bytes:
    """A tools/list answer."""
    return b'{"jsonrpc": "2.0","id":1,"result":{"cacheScope":"private","tools":[' + b" ,".join(items) + b"]}}"


def shown(gateway: Gateway, upstream: Upstream, body: bytes, form: str = "json", era: str = LEGACY) -> bytes:
    """What becomes of a list."""
    upstream.answer = answer(body, form)
    exchange = gateway.post(message(era, "tools/list"), tokens.support(), era)
    exchange.forwarded(message(era, "tools/list"))
    if form == "json":
        assert exchange.response.header("content-length") == str(len(exchange.response.body))
        return exchange.response.body
    return exchange.response.events()[1].encode()


SERVERS = rb"""{"type" : "object", "properties": {
  "role": {"type": "string"},
  "quer\u0079": {"type":"string", "minLength": 1.0},
  "organizationId": {"type":"string", "x-mcp-header":"Org"}, "user_id":{"$ref":"#/properties/role"}
}, "required": ["role", "query","organizationId"]}""".replace(b"\n", b" ")
GENERAL = rb"""{"type" : "object", "properties": {
  "quer\u0079": {"type":"string", "minLength": 1.0},
  "organizationId": {"type":"string", "x-mcp-header":"Org"}, "user_id":{"type": "string"}
}, "required": ["query","organizationId"]}""".replace(b"\n", b" ")
OWN = rb"""{"type" : "object", "properties": {
  "quer\u0079": {"type":"string", "minLength": 1.0}
}, "required": ["query"]}""".replace(b"\n", b" ")


@ERAS
@FORMS
def b28_hidden_arguments_leave_the_schema_and_the_rest_stays_as_written(
    through: Callable[[str], Gateway], upstream: Upstream, form: str, era: str
) -> None:
    """An argument that is set only where it is sent has to be asked for."""
    for listener, schema in (("crm", GENERAL), ("added", OWN)):
        body = tools(tool("crm.get_customer", SERVERS), tool("crm.purge", SERVERS), tool("crm.search_a", b"true"))
        expected = tools(tool("crm.get_customer", schema), tool("crm.search_a", b"true"))
        assert shown(through(listener), upstream, body, form, era) == expected


@ERAS
@FORMS
def b28_hidden_arguments_of_prompts(
    through: Callable[[str], Gateway], upstream: Upstream, form: str, era: str
) -> None:
    arguments = [{"name": "user_id", "required": True}, {"name": "tone"}, {"name": "role"}]
    for listener, expected in (("crm", ["user_id", "tone"]), ("added", ["tone"])):
        upstream.answer = answer(encoded(listing("prompts", [{"name": "customer_x", "arguments": arguments}])), form)
        exchange = through(listener).post(message(era, "prompts/list"), tokens.support(), era)
        (prompt,) = exchange.response.rpc()["result"]["prompts"]
        assert [argument["name"] for argument in prompt["arguments"]] == expected


def test_a_hidden_argument_is_set_from_the_token(through: Callable[[str], Gateway], upstream: Upstream) -> None:
    properties = {name: {"type": "string"} for name in ("query", "user_id", "organization_id")}
    listed = tool("crm.get_customer", encoded({"type": "object", "properties": properties}))
    upstream.answer = json_answer(tools(listed))
    through("added").post(message(LEGACY, "tools/list"), tokens.support())
    upstream.reset()
    exchange = through("added").post(call(LEGACY, "crm.get_customer", {"query": "x"}), tokens.support())
    arguments = exchange.forwarded().json["params"]["arguments"]
    assert arguments == {"query": "x", "user_id": tokens.USER, "organization_id": tokens.ORGANIZATION}


def test_observing_changes_no_schema(through: Callable[[str], Gateway], upstream: Upstream) -> None:
    upstream.answer = json_answer(tools(tool("crm.get_customer", SERVERS)))
    exchange = through("observed").post(message(LEGACY, "tools/list"), tokens.support())
    assert exchange.response.body == tools(tool("crm.get_customer", SERVERS))


SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def b34_the_shown_schema_accepts_what_the_server_accepts(
    gateway: Gateway, upstream: Upstream, seed: int
) -> None:
    """Calls that fit the shown schema are accepted, and clients can validate with it."""
    schemas = Schemas(seed)
    originals = {f"crm.search_{number}": schemas.tool() for number in range(60)}
    items = [{"name": name, "inputSchema": schema} for name, schema in originals.items()]
    body = shown(gateway, upstream, encoded(listing("tools", items)))
    listed = {each["name"]: each["inputSchema"] for each in json.loads(body)["result"]["tools"]}
    tried = 0
    for name, original in originals.items():
        Draft202012Validator.check_schema(listed[name])
        for _ in range(30):
            tried += accepts(original, listed[name], schemas.arguments())
    assert tried > 100


def accepts(original: Any, shown: Any, arguments: dict[str, Any]) -> bool:
    """Whether these arguments are good for the server; then, without the hidden ones, for both."""
    if not Draft202012Validator(original).is_valid(arguments):
        return False
    left = without(arguments, RULED)
    errors = list(Draft202012Validator(shown).iter_errors(left))
    assert not errors, (original, shown, arguments, errors)
    return True


@MODES
@STYLES
def test_a_model_is_not_asked_for_identity_arguments(
    envoy: Envoy, server: McpServer, style: str, mode: str
) -> None:
    """With the official SDK on both sides: what is not asked for arrives from the token."""
    with_client(connected(envoy.ports[style], mode, False, tokens.support()), listed_and_called)
    assert server.calls == [{"query": "acme", "user_id": tokens.USER, "organization_id": tokens.ORGANIZATION}]


async def listed_and_called(client: Client) -> None:
    """The list does not ask who is calling, and a call by that list works."""
    tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    for schema in tools.values():
        Draft202012Validator.check_schema(schema)
    assert list(tools["crm.get_customer"]["properties"]) == ["query"]
    assert tools["crm.get_customer"]["required"] == ["query"]
    (prompt,) = (await client.list_prompts()).prompts
    assert [argument.name for argument in prompt.arguments or []] == ["tone"]
    answer = await client.call_tool("crm.get_customer", {"query": "acme"})
    assert not answer.is_error
    text = await client.get_prompt("customer_summary", {"tone": "x"})
    assert f"Summarize for {tokens.USER}" in str(text.messages[0].content)
