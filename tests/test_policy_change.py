"""The policy changes while Envoy runs: requests in progress go on, and an invalid policy changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import client, tokens
from .harness.answers import Answer, event, event_stream, listing, raw_stream, result
from .harness.changing import Changing, running
from .harness.client import Connection, Request, encoded_pieces
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.http_server import KeyAnswer
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, call, message, post
from .harness.policy import fetched, policy
from .harness.upstream import Upstream
from .harness.waiting import eventually

BEFORE = policy(roles={"support": {"tools": ["crm.get_customer"]}})
AFTER = policy(roles={"support": {"tools": ["crm.search_customers"]}})
BROKEN = policy(roles={"support": {"tool": ["crm.*"]}})

pytestmark = pytest.mark.parametrize("version", [None, "1.36"], ids=["current", "1.36"], scope="module", indirect=True)


@pytest.fixture(scope="module")
def version(request: pytest.FixtureRequest) -> str | None:
    """A version of Envoy; none: the one of this environment."""
    return request.param


@pytest.fixture(scope="module")
def shared(
    version: str | None, clusters: dict[str, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Changing]:
    """One Envoy for all tests that begin with the same policy."""
    with running(tmp_path_factory.mktemp("changing"), clusters, version, BEFORE) as changing:
        yield changing


@pytest.fixture
def changing(shared: Changing, upstream: Upstream) -> Changing:
    """An Envoy with the policy `BEFORE`."""
    if not shared.may("crm.get_customer") or shared.may("crm.search_customers"):
        shared.changes_to(BEFORE, "crm.get_customer")
    upstream.reset()
    return shared


def slow_events(*messages: Any, pause: float = 1.5) -> Answer:
    """An event stream that lasts longer than a change of the policy."""
    return event_stream(*messages).with_(pause=pause)


def test_a_new_request_is_decided_by_the_new_policy(changing: Changing) -> None:
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")
    changing.changes_to(AFTER, "crm.search_customers")
    assert not changing.may("crm.get_customer")


def test_connections_stay_open(changing: Changing) -> None:
    ask = post(call(LEGACY, "crm.get_customer"), tokens.support())
    with Connection(changing.port) as connection:
        assert "result" in connection.request(ask).rpc()
        changing.changes_to(AFTER, "crm.search_customers")
        answer = connection.request(ask)
        assert answer.error_code() == -32602 and answer.header("connection") != "close"


def test_an_event_stream_of_a_get_goes_on(changing: Changing, upstream: Upstream) -> None:
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
    changing: Changing, upstream: Upstream
) -> None:
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


def test_a_request_that_began_before_is_decided_by_the_old_policy(
    changing: Changing, upstream: Upstream
) -> None:
    for tool, allowed in (("crm.get_customer", True), ("crm.search_customers", False)):
        request = post(call(LEGACY, tool), tokens.support())
        (body,) = request.pieces()
        with Connection(changing.port) as connection:
            connection.start(request)
            connection.send(body[:20])
            eventually(lambda: changing.envoy.open_requests("crm"), "the request has begun")
            changing.changes_to(AFTER, "crm.search_customers")
            upstream.take()
            connection.send(body[20:])
            answer = connection.response()
        assert ("result" in answer.rpc()) == allowed
        assert len(upstream.take().requests) == allowed
        changing.changes_to(BEFORE, "crm.get_customer")


def h10_a_request_that_waits_for_keys_is_answered_after_a_change(changing: Changing, issuer: Issuer) -> None:
    """Its issuer is asked by a policy that is no longer in force."""
    path = "/keys/before-a-change"
    issuer.paths[path] = KeyAnswer(200, keys_answer(key("ES256")).body, delay=2.0)
    changing.accepts({**BEFORE, "issuers": [fetched(path)]})
    with Connection(changing.port) as connection:
        asked = post(call(LEGACY, "crm.get_customer"), tokens.support())
        connection.start(asked)
        connection.send(b"".join(encoded_pieces(asked)))
        issuer.wait_for_fetches(path)
        changing.changes_to(AFTER, "crm.search_customers")
        assert "result" in connection.response().rpc()


def test_a_broken_policy_leaves_the_old_one_in_force(changing: Changing) -> None:
    assert "roles.support.tool: unknown key `tool`" in changing.refuses(BROKEN)
    for _ in range(3):
        assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")
    changing.changes_to(AFTER, "crm.search_customers")
    assert not changing.may("crm.get_customer")


def test_b08_all_mistakes_of_a_policy_are_logged_and_it_is_not_loaded(changing: Changing) -> None:
    wrong = {**AFTER, "mode": "enforced", "seal": ["SEAL_KEY"], "compat": [True], "max_body": "2MiB"}
    log = changing.refuses({**wrong, "roles": {"support": {"tool": ["crm.*"], "extends": ["nobody"]}}})
    for mistake in [
        "mode: unknown value `enforced`",
        "seal: found a list, expected a mapping",
        "compat: found a list, expected a mapping",
        "max_body: found 2097152 bytes",
        "roles.support.tool: unknown key `tool`",
        "roles.support.extends[0]: unknown role `nobody`",
    ]:
        assert f"policy not loaded: {mistake}" in log, log
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")


def test_a_broken_policy_of_several_leaves_all_in_force(changing: Changing) -> None:
    other = {**BEFORE, "resource": "https://hr.example.com/hr"}
    changing.accepts({"policies": [BEFORE, other]})
    assert "policies[1].mode: " in changing.refuses({"policies": [AFTER, {**other, "mode": "x"}]})
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")


def test_a_file_that_is_no_configuration_leaves_the_old_one_in_force(changing: Changing) -> None:
    assert changing.listener.file is not None
    failures = changing.updates("failure")
    new = changing.listener.file.with_suffix(".new")
    new.write_text(json.dumps({"resources": []})[:-4])
    new.rename(changing.listener.file)
    changing.wait_for_updates("failure", failures + 1)
    assert changing.may("crm.get_customer") and not changing.may("crm.search_customers")


def test_without_a_valid_policy_every_request_is_refused(
    directory: Path, clusters: dict[str, Cluster], version: str | None, upstream: Upstream
) -> None:
    with running(directory, clusters, version, BROKEN) as changing:
        changing.envoy.refused_policies = 1
        for _ in range(3):
            assert changing.ask("crm.get_customer").status == 500
            assert client.send(changing.port, Request("GET", "/anything")).status == 500
        assert upstream.take().bytes == 0
        changing.change(BEFORE)
        eventually(lambda: changing.ask("crm.get_customer").status == 200, "a policy is in force")
        assert changing.may("crm.get_customer")


def test_many_changes_leave_no_virtual_machines(changing: Changing) -> None:

    first = changing.virtual_machines()
    for _ in range(5):
        changing.changes_to(AFTER, "crm.search_customers")
        changing.changes_to(BEFORE, "crm.get_customer")
    changing.wait_for_virtual_machines(first)


def test_a_policy_that_is_gone_fetches_no_more_keys(changing: Changing, issuer: Issuer) -> None:
    path = "/keys/of-a-policy-that-goes"
    issuer.paths[path] = keys_answer(key("ES256"))
    first = changing.virtual_machines()
    changing.change({**BEFORE, "issuers": [fetched(path, jwks={"refresh": "1s"})]})
    eventually(lambda: changing.may("crm.get_customer") and issuer.fetches[path] > 1, "keys are fetched again")
    changing.changes_to(AFTER, "crm.search_customers")
    changing.wait_for_virtual_machines(first)
    seen = issuer.fetches[path]
    time.sleep(3)
    assert issuer.fetches[path] == seen


def test_a_config_map_is_changed_as_kubernetes_does(
    directory: Path, clusters: dict[str, Cluster], upstream: Upstream, version: str | None
) -> None:
    """The file stays; a link on the way to it is moved."""
    mounted = directory / "policy"
    (mounted / "..1").mkdir(parents=True)
    (mounted / "..data").symlink_to("..1")
    (mounted / "mcp_auth.json").symlink_to("..data/mcp_auth.json")
    real = Listener(BEFORE, file=mounted / "..1" / "mcp_auth.json")
    Envoy.change(real, BEFORE)
    with Envoy(directory, {"crm": Listener(BEFORE, file=mounted / "mcp_auth.json")}, clusters, binary(version)).checked() as envoy:
        changing = Changing(envoy, real)
        assert changing.may("crm.get_customer")
        (mounted / "..2").mkdir()
        Envoy.change(Listener(AFTER, file=mounted / "..2" / "mcp_auth.json"), AFTER)
        (mounted / "..new").symlink_to("..2")
        (mounted / "..new").rename(mounted / "..data")
        changing.wait_to_allow("crm.search_customers")
        assert not changing.may("crm.get_customer")
