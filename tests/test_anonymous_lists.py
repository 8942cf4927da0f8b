"""Lists state the security schemes of each tool, if the policy has anonymous ones."""

from __future__ import annotations

import pytest

from .harness import tokens
from .harness.anonymous import FOR_EVERYBODY, mixed
from .harness.answers import PROGRESS, answer, encoded, event, json_answer, raw_stream
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway, Through
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ERAS, STYLES

LISTENERS = {
    "crm": Listener(mixed()),
    "http2_server": Listener(mixed(), "upstream_h2"),
    "buffered": Listener(mixed(hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024),
    "empty": Listener(mixed(anonymous={})),
    "no_section": Listener(policy()),
    "observe": Listener(mixed(mode="observe")),
    "unscoped": Listener(policy(anonymous=FOR_EVERYBODY)),
}


def oauth2(*scopes: str) -> bytes:
    """A sign-in with these scopes."""
    return encoded({"scopes": list(scopes), "type": "oauth2"})


def schemes(*each: bytes) -> bytes:
    """The value that a list says of a tool."""
    return b"[" + b",".join(each) + b"]"


NOAUTH = b'{"type":"noauth"}'
OPEN = schemes(NOAUTH)
OPTIONAL = schemes(NOAUTH, oauth2("crm:read"))
SIGN_IN = schemes(oauth2("crm:read"))
REFUND = schemes(oauth2("crm:read", "crm:write", "crm:refund"))
RARE = schemes(oauth2("crm:read", "docs:rare"))

# Text that has to survive byte for byte.
TEXT = b'"description":"\\u00e9\\/ \xc3\xa9", "inputSchema":{"type":"object","x":1.0,"securitySchemes":1}'


def added(value: bytes) -> bytes:
    """The member that says it."""
    return b'"securitySchemes":' + value


def written(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A tool without `_meta`, as the server and as the client knows it."""
    tool = b'{"name": "%s", %s}' % (name, TEXT)
    members = b'%s,"_meta":{%s},' % (added(value), added(value))
    return tool, b"{" + members + tool[1:]


# A tool as the server lists it, and as the client gets it.
TOOLS: dict[str, tuple[bytes, bytes]] = {
    "for_everybody": written(b"docs.find", OPEN),
    "for_everybody_and_a_role": written(b"crm.search_x", OPTIONAL),
    "for_a_role": written(b"crm.get_customer", SIGN_IN),
    "for_a_role_with_scopes": written(b"crm.refund", REFUND),
    "for_everybody_with_a_scope": written(b"docs.rare", RARE),
    "escaped_name": written(b"docs\\u002efind", OPEN),
    "empty_meta": (
        b'{"name":"docs.a","_meta":{ }}',
        b'{%s,"name":"docs.a","_meta":{%s }}' % (added(OPEN), added(OPEN)),
    ),
    "some_meta": (
        b'{"_meta": {"a" : 1.0},"name":"docs.a"}',
        b'{%s,"_meta": {%s,"a" : 1.0},"name":"docs.a"}' % (added(OPEN), added(OPEN)),
    ),
    "no_object_for_meta": (
        b'{"name":"docs.a","_meta":[1]}',
        b'{%s,"name":"docs.a","_meta":{%s}}' % (added(OPEN), added(OPEN)),
    ),
    "the_servers_own": (
        b'{"name":"crm.refund","securitySchemes" : [{"type":"noauth"}],"_meta":{"a":1,"securitySchemes":[{"type":"noauth"}]}}',
        b'{"name":"crm.refund","securitySchemes" : %s,"_meta":{"a":1,"securitySchemes":%s}}' % (REFUND, REFUND),
    ),
    "the_servers_own_spelled_oddly": (
        b'{"name":"crm.refund","security\\u0053chemes":null,"_meta":{"security\\u0053chemes":{}}}',
        b'{"name":"crm.refund","security\\u0053chemes":%s,"_meta":{"security\\u0053chemes":%s}}' % (REFUND, REFUND),
    ),
    "for_no_policy": (b'{"name":"hr.fire","securitySchemes":[{"type":"noauth"}]}', b""),
}


def listed(*items: bytes) -> bytes:
    """A list of tools with more around it than it needs."""
    return b'{"jsonrpc": "2.0","id":1,"result":{"tools":[' + b",".join(items) + b'],"nextCursor":"c-1","x":[1.0]}}'


def shown(exchange: Exchange, style: str) -> bytes:
    """The message that the client got, and the server was asked once."""
    exchange.forwarded()
    if style == "json":
        assert exchange.response.header("content-length") in (None, str(len(exchange.response.body)))
        return exchange.response.body
    progress, message_ = exchange.response.events()
    assert progress.encode() == encoded(PROGRESS)
    return message_.encode()


def private(body: bytes, era: str) -> bytes:
    """As a list of 2026-07-28 is marked."""
    mark = b'"result":{' + (b'"cacheScope":"private",' if era == MODERN else b"")
    return body.replace(b'"result":{', mark, 1)


@ERAS
@STYLES
@pytest.mark.parametrize("tool", TOOLS)
def test_each_listed_tool_states_its_security_schemes(
    gateway: Gateway, upstream: Upstream, tool: str, style: str, era: str
) -> None:
    server, client = TOOLS[tool]
    upstream.answer = answer(listed(server), style)
    exchange = gateway.post(message(era, "tools/list"), None, era)
    assert shown(exchange, style) == private(listed(*filter(None, [client])), era)


ALL = [server for server, _ in TOOLS.values()], [client for _, client in TOOLS.values() if client]


@ERAS
@STYLES
@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "http2_server", "buffered"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_whole_list_keeps_its_order(
    through: Through, upstream: Upstream, listener: str, signed_in: bool, era: str, style: str, http2: bool
) -> None:
    upstream.answer = answer(listed(*ALL[0]), style)
    token = tokens.manager() if signed_in else None
    exchange = through(listener).post(message(era, "tools/list"), token, era, http2=http2)
    assert shown(exchange, style) == private(listed(*ALL[1]), era)


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("style", ["json", "events"])
def b35_lists_in_any_chunks(gateway: Gateway, upstream: Upstream, size: int, style: str) -> None:
    upstream.answer = answer(listed(*ALL[0]), style).split(size).with_(sized=False, pause=0)
    assert shown(gateway.post(message(LEGACY, "tools/list"), None), style) == listed(*ALL[1])


def b15_lists_on_the_servers_event_stream_state_security_schemes(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = raw_stream(event(listed(*ALL[0])))
    exchange = gateway.get()
    assert exchange.response.events() == [listed(*ALL[1]).decode()]


def test_a_list_without_scopes(through: Through, upstream: Upstream) -> None:
    """Of the policy: a sign-in is needed, and nothing to ask for with it."""
    upstream.answer = json_answer(listed(b'{"name":"crm.get_customer"}'))
    exchange = through("unscoped").post(message(LEGACY, "tools/list"), None)
    (tool,) = exchange.response.json["result"]["tools"]
    assert tool["securitySchemes"] == [{"type": "oauth2", "scopes": []}]


@ERAS
@STYLES
@pytest.mark.parametrize("listener", ["no_section", "observe"])
def test_without_the_section_lists_are_unchanged(
    through: Through, upstream: Upstream, listener: str, style: str, era: str
) -> None:
    """What the server says of itself stays."""
    items = [server for server, _ in TOOLS.values() if b"crm." in server]
    upstream.answer = answer(listed(*items), style)
    exchange = through(listener).post(message(era, "tools/list"), tokens.manager(), era)
    expected = listed(*items) if listener == "observe" else private(listed(*items), era)
    body = exchange.response.body if style == "json" else exchange.response.events()[1].encode()
    assert body == expected


def test_with_an_empty_section_every_tool_needs_a_sign_in(through: Through, upstream: Upstream) -> None:
    server, client = TOOLS["for_a_role"]
    upstream.answer = json_answer(listed(server, TOOLS["for_everybody"][0]))
    exchange = through("empty").post(message(LEGACY, "tools/list"), None)
    assert shown(exchange, "json") == listed(client)


@ERAS
def b26_a_tool_denied_to_every_role_is_not_listed(gateway: Gateway, upstream: Upstream, era: str) -> None:
    """A role allows `crm.*` and denies `crm.purge`: who signs in does not see it either."""
    upstream.answer = json_answer(listed(b'{"name":"crm.purge"}'))
    for token in (tokens.manager(), None):
        exchange = gateway.post(message(era, "tools/list"), token, era)
        assert exchange.response.json["result"]["tools"] == []


@ERAS
def b26_calls_are_decided_as_the_list_states(gateway: Gateway, upstream: Upstream, era: str) -> None:
    names = ["docs.find", "docs.rare", "docs.fresh", "crm.search_x", "crm.get_customer", "crm.refund", "hr.fire", "nope"]
    upstream.answer = json_answer(listed(*[encoded({"name": name}) for name in names]))
    tools = gateway.post(message(era, "tools/list"), None, era).response.json["result"]["tools"]
    says = {tool["name"]: [scheme["type"] for scheme in tool["securitySchemes"]] for tool in tools}
    upstream.reset()
    for name in names:
        record = gateway.post(call(era, name), None, era).record
        happens = {"allowed": "noauth", "sign_in_needed": "oauth2", "no_role": None}[record["reason"]]
        assert says.get(name, [None])[0] == happens, name


UNREADABLE = {
    "schemes_twice": b'{"name":"docs.a","securitySchemes":[],"securitySchemes":[]}',
    "meta_twice": b'{"name":"docs.a","_meta":{},"_meta":{}}',
    "meta_schemes_twice": b'{"name":"docs.a","_meta":{"securitySchemes":1,"securitySchemes":2}}',
    "deep": b'{"name":"docs.a","_meta":' + b"[" * 500 + b"]" * 500 + b"}",
}


@STYLES
@pytest.mark.parametrize("tool", UNREADABLE.values(), ids=UNREADABLE)
def b26_a_tool_with_two_meanings_is_not_shown(
    gateway: Gateway, upstream: Upstream, tool: bytes, style: str
) -> None:
    upstream.answer = answer(listed(tool), style)
    exchange = gateway.post(message(LEGACY, "tools/list"), None)
    assert b"docs.a" not in exchange.response.body
    assert exchange.response.rpc()["result"]["tools"] == []
