"""A policy that changes while Envoy runs: nobody is cut off, and a broken one changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import client, tokens
from .harness.answers import Answer, event, event_stream, listing, raw_stream, result
from .harness.client import Connection, Request, encoded_pieces
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.http import Response
from .harness.http_server import KeyAnswer
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, call, message, post
from .harness.policy import fetched, policy
from .harness.upstream import Upstream

BEFORE = policy(roles={"support": {"tools": ["crm.get_customer"]}})
AFTER = policy(roles={"support": {"tools": ["crm.search_customers"]}})
BROKEN = policy(roles={"support": {"tool": ["crm.*"]}})

TIMEOUT = 10.0


class Changing:
    """An Envoy that reads its filter from a file."""

    def __init__(self, envoy: Envoy, listener: Listener) -> None:
        self.envoy, self.listener = envoy, listener
        self.port = envoy.ports["crm"]

    def change(self, to: Any) -> None:
        """Put another policy into the file."""
        self.envoy.change(self.listener, to)

    def ask(self, tool: str) -> Response:
        """A call of a tool."""
        return client.send(self.port, post(call(LEGACY, tool), tokens.support()))

    def may(self, tool: str) -> bool:
        """Whether a new request may use a tool."""
        response = self.ask(tool)
        assert response.status == 200, response
        return "result" in response.rpc()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, self.envoy.log()[-4000:]
            time.sleep(0.02)

    def changes_to(self, to: Any, tool: str) -> None:
        """Change the policy, and wait until it allows a tool."""
        self.change(to)
        self.wait_to_allow(tool)

    def wait_to_allow(self, tool: str) -> None:
        """Wait until the policy allows a tool."""
        self.wait_for(lambda: self.may(tool))

    def updates(self, outcome: str) -> int:
        """How often Envoy took, or rejected, what was in the file."""
        return sum(self.envoy.stats(rf"config_discovery\.http_filter\.mcp_auth\.update_{outcome}:").values())


Started = Callable[..., Changing]


@pytest.fixture(params=[None, "1.36"], ids=["current", "1.36"])
def started(
    request: pytest.FixtureRequest, directory: Path, clusters: dict[str, Cluster], upstream: Upstream
) -> Iterator[Started]:
    """Starts Envoy with a policy in a file."""
    running: list[Envoy] = []

    def start(first: Any = BEFORE) -> Changing:
        listener = Listener(first, file=directory / "mcp_auth.json")
        running.append(Envoy(directory, {"crm": listener}, clusters, binary(request.param)))
        return Changing(running[0], listener)

    yield start
    for envoy in running:
        try:
            assert envoy.process.poll() is None
            assert "panicked" not in envoy.log()
            assert not {name: n for name, n in envoy.stats(r"vm_reload").items() if n}
            envoy.check_no_secrets()
        finally:
            envoy.stop()


def slow_events(*messages: Any, pause: float = 1.5) -> Answer:
    """An event stream that lasts longer than a change of the policy."""
    return event_stream(*messages).with_(pause=pause)


def test_a_new_request_is_decided_by_the_new_policy(started: Started) -> None:
    changing = started()
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")
    changing.changes_to(AFTER, "crm.search_customers")
    assert not changing.may("crm.get_customer")


def test_connections_stay_open(started: Started) -> None:
    changing = started()
    ask = post(call(LEGACY, "crm.get_customer"), tokens.support())
    with Connection(changing.port) as connection:
        assert "result" in connection.request(ask).rpc()
        changing.changes_to(AFTER, "crm.search_customers")
        answer = connection.request(ask)
        assert answer.error_code() == -32602 and answer.header("connection") != "close"


def test_an_event_stream_of_a_get_goes_on(started: Started, upstream: Upstream) -> None:
    changing = started()
    notes = [{"jsonrpc": "2.0", "method": "notifications/message", "params": {"n": n}} for n in range(3)]
    upstream.answer = lambda request: (
        slow_events(*notes) if request.method == "GET" else event_stream(result({}, request.json["id"]))
    )
    with Connection(changing.port) as connection:
        connection.start(Request("GET", "/mcp", [("authorization", f"Bearer {tokens.support()}")]))
        assert connection.response_head().status == 200
        assert b'"n":0' in connection.read_until(b"\n\n")
        changing.changes_to(AFTER, "crm.search_customers")
        assert b'"n":1' in connection.read_until(b"\n\n")
        assert b'"n":2' in connection.read_until(b"\n\n")
        assert connection.read_until(b"0\r\n\r\n").endswith(b"0\r\n\r\n")


def b30_a_list_that_began_under_a_policy_is_filtered_by_it_to_the_end(
    started: Started, upstream: Upstream
) -> None:
    changing = started()
    names = ["crm.get_customer", "crm.search_customers", "crm.purge"]
    tools = event(listing("tools", [{"name": name} for name in names]))
    progress = event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
    slow = raw_stream(progress, tools[:40], tools[40:]).with_(pause=1.0)
    upstream.answer = lambda request: (
        slow if request.json["method"] == "tools/list" else event_stream(result({}, request.json["id"]))
    )
    with Connection(changing.port) as connection:
        asked = post(message(LEGACY, "tools/list"), tokens.support())
        connection.start(asked)
        connection.send(b"".join(encoded_pieces(asked)))
        head = connection.response_head()
        connection.read_until(b"\n\n")
        changing.changes_to(AFTER, "crm.search_customers")
        rest = connection.read_until(b"0\r\n\r\n")
    assert head.status == 200
    assert b'{"name":"crm.get_customer"}' in rest
    assert b"crm.purge" not in rest and b"crm.search_customers" not in rest


def test_a_request_that_began_before_is_decided_by_what_was_in_force(
    started: Started, upstream: Upstream
) -> None:
    changing = started()
    for tool, allowed in (("crm.get_customer", True), ("crm.search_customers", False)):
        request = post(call(LEGACY, tool), tokens.support())
        (body,) = request.pieces()
        with Connection(changing.port) as connection:
            connection.start(request)
            connection.send(body[:20])
            time.sleep(0.2)
            changing.changes_to(AFTER, "crm.search_customers")
            upstream.take()
            connection.send(body[20:])
            answer = connection.response()
        assert ("result" in answer.rpc()) == allowed
        assert len(upstream.take().requests) == allowed
        changing.changes_to(BEFORE, "crm.get_customer")


def h10_a_request_that_waits_for_keys_is_not_forgotten(started: Started, issuer: Issuer) -> None:
    """Its issuer is asked by a policy that is no longer in force."""
    path = "/keys/before-a-change"
    issuer.paths[path] = KeyAnswer(200, keys_answer(key("ES256")).body, delay=2.0)
    waiting = {**BEFORE, "issuers": [fetched(path)]}
    changing = started(waiting)
    with Connection(changing.port) as connection:
        asked = post(call(LEGACY, "crm.get_customer"), tokens.support())
        connection.start(asked)
        connection.send(b"".join(encoded_pieces(asked)))
        issuer.wait_for_fetches(path)
        changing.changes_to(AFTER, "crm.search_customers")
        assert "result" in connection.response().rpc()


def test_a_broken_policy_leaves_the_old_one_in_force(started: Started) -> None:
    changing = started()
    changing.change(BROKEN)
    changing.wait_for(lambda: changing.updates("rejected") == 1)
    assert "roles.support.tool: unknown key `tool`" in changing.envoy.log()
    for _ in range(3):
        assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")
    changing.changes_to(AFTER, "crm.search_customers")
    assert not changing.may("crm.get_customer")


def test_a_broken_policy_of_several_leaves_all_in_force(started: Started) -> None:
    other = {**BEFORE, "resource": "https://hr.example.com/hr"}
    changing = started({"policies": [BEFORE, other]})
    changing.change({"policies": [AFTER, {**other, "mode": "x"}]})
    changing.wait_for(lambda: changing.updates("rejected") == 1)
    assert "policies[1].mode: " in changing.envoy.log()
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")


def test_a_file_that_is_no_configuration_leaves_the_old_one_in_force(started: Started) -> None:
    changing = started()
    assert changing.listener.file is not None
    new = changing.listener.file.with_suffix(".new")
    new.write_text(json.dumps({"resources": []})[:-4])
    new.rename(changing.listener.file)
    changing.wait_for(lambda: changing.updates("failure") == 1)
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")


def test_without_a_policy_from_the_start_nothing_passes(started: Started, upstream: Upstream) -> None:
    changing = started(BROKEN)
    for _ in range(3):
        assert changing.ask("crm.get_customer").status == 500
        assert client.send(changing.port, Request("GET", "/anything")).status == 500
    assert upstream.take().bytes == 0
    changing.change(BEFORE)
    changing.wait_for(lambda: changing.ask("crm.get_customer").status == 200)
    assert changing.may("crm.get_customer")


def test_many_changes_leave_nothing_behind(started: Started) -> None:
    changing = started()

    def machines() -> int:
        return sum(changing.envoy.stats(r"wasm\.envoy\.wasm\.runtime\.v8\.active").values())

    first = machines()
    for _ in range(5):
        changing.changes_to(AFTER, "crm.search_customers")
        changing.changes_to(BEFORE, "crm.get_customer")
    changing.wait_for(lambda: machines() <= first)


def test_a_policy_that_is_gone_fetches_no_more_keys(started: Started, issuer: Issuer) -> None:
    path = "/keys/of-a-policy-that-goes"
    issuer.paths[path] = keys_answer(key("ES256"))
    changing = started({**BEFORE, "issuers": [fetched(path, jwks={"refresh": "1s"})]})
    assert changing.may("crm.get_customer")
    issuer.wait_for_fetches(path, issuer.fetches[path] + 1)
    changing.changes_to(AFTER, "crm.search_customers")
    time.sleep(0.5)
    seen = issuer.fetches[path]
    time.sleep(3)
    assert issuer.fetches[path] == seen


def test_a_config_map_is_changed_as_kubernetes_does(
    directory: Path, clusters: dict[str, Cluster], upstream: Upstream
) -> None:
    """The file stays; a link on the way to it is moved."""
    mounted = directory / "policy"
    (mounted / "..1").mkdir(parents=True)
    (mounted / "..data").symlink_to("..1")
    (mounted / "mcp_auth.json").symlink_to("..data/mcp_auth.json")
    real = Listener(BEFORE, file=mounted / "..1" / "mcp_auth.json")
    Envoy.change(real, BEFORE)
    for envoy in Envoy(directory, {"crm": Listener(BEFORE, file=mounted / "mcp_auth.json")}, clusters).checked():
        changing = Changing(envoy, real)
        assert changing.may("crm.get_customer")
        (mounted / "..2").mkdir()
        Envoy.change(Listener(AFTER, file=mounted / "..2" / "mcp_auth.json"), AFTER)
        (mounted / "..new").symlink_to("..2")
        (mounted / "..new").rename(mounted / "..data")
        changing.wait_to_allow("crm.search_customers")
        assert not changing.may("crm.get_customer")
