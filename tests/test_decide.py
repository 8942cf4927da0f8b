"""Decision points outside: real ones, bad ones, and the requests that the server then receives or not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .decisions.points import BrokenPoint, OwnPoint, cerbos, decided, decided_each, opa
from .harness import client, tokens
from .harness.answers import encoded, event_stream, json_answer, listing, result
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Exchange, Through
from .harness.http_server import KeyAnswer
from .harness.messages import LEGACY, MODERN, call, message, post
from .harness.policy import policy
from .harness.upstream import Upstream
from .harness.variants import ENDS, ERAS
from .harness.waiting import eventually

SECRET = tokens.remember("decision point s3cret")
ENVIRONMENT = {"PDP_TOKEN": SECRET, "MCP_AUTH_KEY": "a secret of the tests, long enough"}

# None is the version of this environment.
VERSIONS = [None, "1.36"]

UNAVAILABLE = "decision_unavailable"
UNREADABLE = "decision_unreadable"
# The answer of a decision point that does not decide, and the reason in the log.
FAULTS: dict[str, tuple[KeyAnswer, str]] = {
    "status_500": (KeyAnswer(500, b'{"decision":true}'), UNAVAILABLE),
    "status_503": (KeyAnswer(503, b""), UNAVAILABLE),
    "status_401": (KeyAnswer(401, b'{"decision":true}'), "decision_credential_refused"),
    "status_403": (KeyAnswer(403, b'{"decision":true}'), "decision_credential_refused"),
    "status_404": (KeyAnswer(404, b'{"decision":true}'), UNREADABLE),
    "status_201": (KeyAnswer(201, b'{"decision":true}'), UNREADABLE),
    "redirect": (KeyAnswer(307, b'{"decision":true}', location="/allow"), UNREADABLE),
    "html": (KeyAnswer(200, b"<html>true</html>", "text/html"), UNREADABLE),
    "two_documents": (KeyAnswer(200, b'{"decision":true}{"decision":true}'), UNREADABLE),
    "cut_off": (KeyAnswer(200, b'{"decision":true'), UNREADABLE),
    "duplicate": (KeyAnswer(200, b'{"decision":false,"decision":true}'), UNREADABLE),
    "escaped_duplicate": (KeyAnswer(200, b'{"decision":false,"d\\u0065cision":true}'), UNREADABLE),
    "text": (decided("true"), UNREADABLE),
    "number": (decided(1), UNREADABLE),
    "missing": (KeyAnswer(200, b"{}"), UNREADABLE),
    "empty": (KeyAnswer(200, b""), UNREADABLE),
    "list": (KeyAnswer(200, b'[{"decision":true}]'), UNREADABLE),
    "huge": (KeyAnswer(200, b'{"decision":true,"x":"' + b"x" * 300_000 + b'"}'), UNREADABLE),
    "deep": (KeyAnswer(200, b'{"decision":true,"x":' + b"[" * 5000 + b"]" * 5000 + b"}"), UNREADABLE),
    "unknown_obligation": (decided(True, obligations={"notify": True}), UNREADABLE),
    "slow": (KeyAnswer(200, b'{"decision":true}', delay=1.0), "decision_timed_out"),
}
# A decision point that breaks the connection, or never ends its answer.
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
BROKEN: dict[str, tuple[bytes, bool, str]] = {
    "reset": (b"", False, UNAVAILABLE),
    "silent": (b"", True, "decision_timed_out"),
    "no_http": (b"hello\r\n\r\n", False, UNAVAILABLE),
    "half": (HEAD + b'{"decision":true}', False, UNAVAILABLE),
    "endless": (HEAD + b'{"decision":true}', True, UNAVAILABLE),
}


def asking(cluster: str = "pdp", path: str = "/allow", **changes: Any) -> Listener:
    """The usual policy, with this decision point for all."""
    decide = {"authzen": {"cluster": cluster, "path": path, "timeout": "300ms"}}
    decide["authzen"] |= changes.pop("authzen", {})
    more = {name: changes.pop(name) for name in ("arguments", "resource", "cache") if name in changes}
    return Listener(policy(decide={**decide, **more}, **changes))


def credential() -> Listener:
    """With a credential at the decision point."""
    listener = asking(path="/credential", authzen={"credential_env": "PDP_TOKEN"})
    return Listener(listener.policy, environment=ENVIRONMENT)


CERBOS_OWN = {
    "cluster": "cerbos",
    "path": "/api/check/resources",
    "body": {
        "principal": {"id": "{subject.id}", "roles": "{subject.properties.roles}"},
        "resources": [
            {
                "actions": ["{action.name}"],
                "resource": {
                    "kind": "tool",
                    "id": "{resource.id}",
                    "attr": {"amount": "{context.arguments.amount}"},
                },
            }
        ],
    },
    "allow": "/results/0/actions/tools~1call",
    "is": "EFFECT_ALLOW",
}
TASK_LIST = {
    "cluster": "pdp",
    "path": "/todo",
    "body": {
        "subject": {"type": "user", "id": "{subject.id}"},
        "action": {"name": "{action.properties.tool}"},
        "resource": {"type": "todo", "id": "{resource.id}", "properties": {"ownerID": "{context.arguments.ownerID}"}},
    },
    "allow": "/decision",
}
LISTS = {"evaluations": "/evaluations"}

LISTENERS = {
    "main": asking(arguments=["amount", "order.total"]),
    "credential": credential(),
    "buffer_filter": Listener(
        {**asking(path="/buffered").policy, "hold": "buffer_filter"}, stop_iteration=False, buffer_filter=1024 * 1024
    ),
    "ticket": asking(path="/ticket", resource={"type": "ticket", "id": "args.ticket_id"}),
    "cached": asking(path="/cached", cache="20s", arguments=["amount"]),
    "together": asking(path="/together", authzen={"timeout": "5s"}),
    "observing": asking(path="/observed", mode="observe"),
    "obliged": asking(path="/obliged"),
    "lists": asking(path="/allow", authzen=LISTS),
    "slow_lists": asking(path="/allow", authzen={"evaluations": "/slow/evaluations"}),
    "no_lists": asking(path="/allow", authzen={"evaluations": "/none/evaluations"}),
    "wrong_lists": asking(path="/allow", authzen={"evaluations": "/wrong/evaluations"}),
    "todo": Listener(policy(decide={"http": TASK_LIST, "arguments": ["ownerID"]}, roles={"*": {"tools": ["can_*"]}})),
    "cerbos": asking("cerbos", "/access/v1/evaluation", authzen={"evaluations": "/access/v1/evaluations", "timeout": "5s"}),
    "cerbos_own": Listener(policy(decide={"http": {**CERBOS_OWN, "timeout": "5s"}, "arguments": ["amount"]})),
    "opa": Listener(
        policy(
            decide={"opa": {"cluster": "opa", "path": "/v1/data/mcp/verdict", "timeout": "5s"}, "arguments": ["amount"]}
        )
    ),
    "opa_boolean": Listener(
        policy(decide={"opa": {"cluster": "opa", "path": "/v1/data/mcp/allow", "timeout": "5s"}, "arguments": ["amount"]})
    ),
    "opa_undefined": Listener(policy(decide={"opa": {"cluster": "opa", "path": "/v1/data/mcp/nothing", "timeout": "5s"}})),
    "dead": asking("dead"),
    "nowhere": asking("no_such_cluster"),
    **{f"fault_{name}": asking(path=f"/fault/{name}") for name in FAULTS},
    **{f"broken_{name}": asking(f"broken_{name}") for name in BROKEN},
}


@pytest.fixture(scope="module")
def point() -> Iterator[OwnPoint]:
    """The tests' own decision point."""
    server = OwnPoint()
    server.paths |= {f"/fault/{name}": answer for name, (answer, _) in FAULTS.items()}
    server.paths["/wrong/evaluations"] = KeyAnswer(200, b'{"evaluations":[{"decision":true}]}')
    yield server
    server.close()


@pytest.fixture(scope="module")
def outside(point: OwnPoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    """All decision points."""
    ports = {"pdp": point.port}
    with contextlib.ExitStack() as servers:
        for name, (sent, waits, _) in BROKEN.items():
            broken = servers.enter_context(contextlib.closing(BrokenPoint(sent, waits)))
            ports[f"broken_{name}"] = broken.port
        for name, start in [("cerbos", cerbos), ("opa", opa)]:
            served = servers.enter_context(contextlib.closing(start(tmp_path_factory.mktemp(name))))
            ports[name] = served.port
        yield {name: Cluster(port) for name, port in ports.items()}


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: version or "current")
def envoy(
    request: pytest.FixtureRequest,
    clusters: dict[str, Cluster],
    outside: dict[str, Cluster],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Envoy]:
    """Each Envoy in turn."""
    directory = tmp_path_factory.mktemp("decide")
    running = Envoy(directory, LISTENERS, {**clusters, **outside}, binary(request.param))
    with running.checked():
        yield running


@pytest.fixture(autouse=True)
def usual_answers(point: OwnPoint) -> None:
    """A decision point that allows all, with nothing noted."""
    for path in ("/allow", "/credential", "/buffered", "/ticket", "/cached", "/together", "/observed", "/obliged"):
        point.paths[path] = decided(True)
    point.take()


def denied(exchange: Exchange, text: str = "The policy does not allow this call with these arguments.") -> Exchange:
    """Refused by the decision point. The server received nothing, and the model reads this text."""
    exchange.does_not_hold("decision_denied")
    assert exchange.response.json["result"]["content"][0]["text"] == text
    return exchange


# === the question and the decision ===


@ERAS
def test_the_decision_point_sees_what_the_server_will_read(through: Through, point: OwnPoint, era: str) -> None:
    gateway = through("main")
    arguments = {"amount": 80, "user_id": "eve", "note": "confidential", "order": {"total": 7, "who": "eve"}}
    exchange = gateway.post(call(era, "crm.charge", arguments), tokens.manager(), era)
    assert exchange.forwarded().arguments["user_id"] == tokens.USER
    (question,) = point.take()
    assert question["subject"]["id"] == tokens.USER
    assert question["subject"]["properties"]["organization"] == tokens.ORGANIZATION
    assert question["action"] == {"name": "tools/call", "properties": {"tool": "crm.charge"}}
    assert question["context"]["arguments"] == {"amount": 80, "order": {"total": 7}}
    assert "eve" not in str(question) and "confidential" not in str(question)
    assert exchange.record["decided_by"] == "authzen:pdp"
    assert exchange.record["decision_ms"] >= 0
    point.paths["/allow"] = decided(False)
    denied(gateway.post(call(era, "crm.charge", arguments), tokens.manager(), era))


def test_the_policy_decides_first(through: Through, point: OwnPoint) -> None:
    gateway = through("main")
    gateway.post(call(LEGACY, "crm.purge", {}), tokens.manager()).refused(200, -32602)
    gateway.post(call(LEGACY, "crm.discount", {"percent": 90}), tokens.manager()).does_not_hold()
    gateway.post(call(LEGACY, "crm.charge", {}), None).refused(401)
    gateway.post(call(LEGACY, "crm.charge", {"amount": 1, "AMOUNT": 9}), tokens.manager()).refused({200, 400})
    assert not point.take()


def test_the_credential_reaches_the_decision_point_and_no_log(through: Through, point: OwnPoint) -> None:
    through("credential").post(call(LEGACY, "crm.charge", {}), tokens.manager()).forwarded()
    ((asked, _),) = point.asked
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["host"] == "pdp"


def test_a_reason_for_the_user_and_one_for_the_log(through: Through, point: OwnPoint) -> None:
    point.paths["/allow"] = decided(False, reason_admin={"en": "rule 7"}, reason_user={"en-403": "Ask your manager."})
    exchange = denied(through("main").post(call(LEGACY, "crm.charge", {}), tokens.manager()), "Ask your manager.")
    assert "rule 7" in str(exchange.record["evidence"])
    assert b"rule 7" not in exchange.response.body


@ENDS
def test_it_is_asked_while_the_body_is_held(through: Through, point: OwnPoint, trailers: list[tuple[str, str]]) -> None:
    body = call(LEGACY, "crm.charge", {"text": "x" * 30_000, "user_id": 1})
    for name in ("main", "buffer_filter"):
        received = through(name).post(body, tokens.manager(), trailers=trailers).forwarded()
        assert received.arguments["user_id"] == tokens.USER
    point.paths |= {"/allow": decided(False), "/buffered": decided(False)}
    for name in ("main", "buffer_filter"):
        denied(through(name).post(body, tokens.manager(), trailers=trailers))


def test_an_argument_names_the_resource(through: Through, point: OwnPoint) -> None:
    point.paths["/ticket"] = lambda question: decided(question["resource"] == {"type": "ticket", "id": "t-1"})
    gateway = through("ticket")
    gateway.post(call(LEGACY, "crm.close_ticket", {"ticket_id": "t-1"}), tokens.manager()).forwarded()
    denied(gateway.post(call(LEGACY, "crm.close_ticket", {"ticket_id": "t-4"}), tokens.manager()))
    for ids in (None, "", ["t-1", "t-4"], {"id": "t-1"}, 1.5):
        exchange = gateway.post(call(LEGACY, "crm.close_ticket", {"ticket_id": ids}), tokens.manager())
        exchange.does_not_hold("decision_argument_missing")


# === faults ===


@pytest.mark.parametrize("name", FAULTS)
def test_a_decision_point_that_does_not_decide_refuses(through: Through, name: str) -> None:
    gateway, (_, reason) = through(f"fault_{name}"), FAULTS[name]
    for era in (LEGACY, MODERN):
        exchange = gateway.post(call(era, "crm.charge", {}), tokens.manager(), era).unavailable(reason)
        assert exchange.record["decided_by"] == "authzen:pdp"


@pytest.mark.parametrize("name", BROKEN)
def test_a_decision_point_that_breaks_the_connection_refuses(through: Through, name: str) -> None:
    *_, reason = BROKEN[name]
    exchange = through(f"broken_{name}").post(call(LEGACY, "crm.charge", {}), tokens.manager())
    exchange.unavailable(reason)
    assert exchange.record["duration_ms"] < 3000


@pytest.mark.parametrize("name", ["dead", "nowhere"])
def test_without_a_decision_point_requests_are_refused(through: Through, name: str) -> None:
    through(name).post(call(LEGACY, "crm.charge", {}), tokens.manager()).unavailable(UNAVAILABLE)


# === once, and remembered ===


def test_an_answer_is_remembered_for_the_same_question_only(through: Through, point: OwnPoint) -> None:
    gateway, caller = through("cached"), tokens.manager(sub="user-cached")
    first = gateway.post(call(LEGACY, "crm.charge", {"amount": 5}), caller)
    first.forwarded()
    again = gateway.post(call(LEGACY, "crm.charge", {"amount": 5, "note": "x"}), caller)
    again.forwarded()
    assert len(point.take()) == 1
    assert "decision_cached" not in first.record and again.record["decision_cached"] is True
    point.paths["/cached"] = decided(False)
    denied(gateway.post(call(LEGACY, "crm.charge", {"amount": 6}), caller))
    denied(gateway.post(call(LEGACY, "crm.charge", {"amount": 5}), tokens.manager(sub="user-other")))
    gateway.post(call(LEGACY, "crm.charge", {"amount": 5}), caller).forwarded()
    assert len(point.take()) == 2


def test_requests_that_come_together_wait_for_one_answer(
    through: Through, point: OwnPoint, upstream: Upstream
) -> None:
    gateway = through("together")
    request = post(call(LEGACY, "crm.charge", {}), tokens.manager(sub="user-together"))
    with point.held("/together"):
        threads = [threading.Thread(target=client.send, args=(gateway.port, request)) for _ in range(8)]
        for thread in threads:
            thread.start()
        gateway.wait_for_arrival(8)
        eventually(lambda: bool(point.asked), "the question arrives")
    for thread in threads:
        thread.join()
    assert {line.code for line in gateway.lines(8)} == {200}
    assert len(point.take()) == 1
    assert len(upstream.take().requests) == 8


def test_observe_mode_logs_what_it_would_have_said(through: Through, point: OwnPoint) -> None:
    point.paths["/observed"] = decided(False)
    exchange = through("observing").post(call(LEGACY, "crm.charge", {}), tokens.manager())
    assert exchange.status == 200 and exchange.received
    assert (exchange.record["decision"], exchange.record["would_be"]) == ("draft", "blocked")
    assert exchange.record["reason"] == "decision_denied"


# === obligations ===


@pytest.mark.parametrize("style", ["json", "events"])
@ERAS
def test_an_obligation_to_redact(through: Through, point: OwnPoint, upstream: Upstream, era: str, style: str) -> None:
    point.paths["/obliged"] = decided(True, obligations={"redact": ["ssn"]})
    seen = {"ssn": "078-05-1120", "name": "Ada"}

    def answer(received: Any) -> Any:
        body = result({"content": [], "structuredContent": seen}, received.json["id"])
        return json_answer(body) if style == "json" else event_stream(body)

    upstream.answer = answer
    exchange = through("obliged").post(call(era, "crm.charge", {}), tokens.manager(), era)
    assert b"078-05-1120" not in exchange.response.body and b"Ada" in exchange.response.body
    assert exchange.record["redacted"] == ["ssn"]


def test_obligations_to_confirm_and_to_sign_in_again(through: Through, point: OwnPoint) -> None:
    gateway = through("obliged")
    point.paths["/obliged"] = decided(True, obligations={"confirm": True})
    exchange = gateway.post(call(MODERN, "crm.charge", {}), tokens.manager(), MODERN).refused({200, 400})
    assert exchange.record["reason"] in ("confirmation_needed", "elicitation_not_declared")
    point.paths["/obliged"] = decided(True, obligations={"max_age": 0})
    old = tokens.manager(iat=tokens.claims()["iat"] - 600)
    exchange = gateway.post(call(LEGACY, "crm.charge", {}), old).refused(401)
    assert exchange.record["reason"] == "sign_in_too_old"


# === lists ===

TOOLS = [{"name": name} for name in ("crm.get_customer", "crm.charge", "crm.purge", "crm.report")]


@pytest.mark.parametrize("style", ["json", "events"])
@ENDS
@ERAS
def test_a_list_shows_what_the_decision_point_would_allow(
    through: Through, point: OwnPoint, upstream: Upstream, era: str, style: str, trailers: list[tuple[str, str]]
) -> None:
    point.paths["/evaluations"] = decided_each(lambda question: question["resource"]["id"] != "crm.charge")

    def answer(received: Any) -> Any:
        body = encoded(listing("tools", TOOLS, received.json["id"]))
        whole = json_answer(body) if style == "json" else event_stream(body)
        return whole.split(7).with_(sized=False, trailers=trailers, pause=0)

    upstream.answer = answer
    exchange = through("lists").post(message(era, "tools/list"), tokens.manager(), era)
    assert exchange.status == 200
    body = exchange.response.body
    assert b"crm.get_customer" in body and b"crm.report" in body
    assert b"crm.charge" not in body and b"crm.purge" not in body
    (question,) = point.take()
    assert question["context"]["listing"] is True
    names = [each["resource"]["id"] for each in question["evaluations"]]
    assert names == ["crm.get_customer", "crm.charge", "crm.report"]
    assert exchange.record["decided_by"] == "authzen:pdp"


@pytest.mark.parametrize("style", ["json", "events"])
@pytest.mark.parametrize("name", ["slow_lists", "no_lists", "wrong_lists"])
def test_a_list_without_decisions_is_refused(
    through: Through, point: OwnPoint, upstream: Upstream, name: str, style: str
) -> None:
    point.paths["/slow/evaluations"] = KeyAnswer(200, b"{}", delay=1.0)
    body = listing("tools", TOOLS)
    upstream.answer = json_answer(body) if style == "json" else event_stream(body)
    exchange = through(name).post(message(LEGACY, "tools/list"), tokens.manager())
    assert b"crm." not in exchange.response.body
    assert exchange.record["reason"].startswith("decision_")
    if style == "json":
        assert (exchange.status, exchange.response.header("retry-after")) == (503, "5")


def test_a_client_that_leaves_while_its_list_waits(through: Through, point: OwnPoint, upstream: Upstream) -> None:
    upstream.answer = json_answer(listing("tools", TOOLS))
    gateway = through("slow_lists")
    with point.held("/slow/evaluations"):
        leaver = client.Connection(gateway.port)
        request = post(message(LEGACY, "tools/list"), tokens.manager(sub="user-leaves"))
        leaver.start(request)
        for piece in client.encoded_pieces(request):
            leaver.send(piece)
        eventually(lambda: bool(point.asked), "the question arrives")
        leaver.abort()
        gateway.lines(1)
    through("main").post(call(LEGACY, "crm.charge", {}), tokens.manager()).forwarded()


# === decision points of others ===


def test_cerbos_decides_in_authzen(through: Through, upstream: Upstream) -> None:
    gateway = through("cerbos")
    for era in (LEGACY, MODERN):
        gateway.post(call(era, "crm.charge", {}), tokens.manager(), era).forwarded()
        denied(gateway.post(call(era, "crm.get_customer", {}), tokens.support(), era))
        denied(gateway.post(call(era, "crm.purge_all", {}), tokens.manager(), era))
    upstream.answer = json_answer(listing("tools", [{"name": "crm.charge"}, {"name": "crm.purge_all"}]))
    exchange = gateway.post(message(LEGACY, "tools/list"), tokens.manager())
    assert b"crm.charge" in exchange.response.body and b"crm.purge_all" not in exchange.response.body


def test_cerbos_decides_in_its_own_language(through: Through) -> None:
    gateway = through("cerbos_own")
    for era in (LEGACY, MODERN):
        exchange = gateway.post(call(era, "crm.charge", {"amount": 50}), tokens.manager(), era)
        exchange.forwarded()
        assert exchange.record["decided_by"] == "http:cerbos"
        denied(gateway.post(call(era, "crm.charge", {"amount": 51}), tokens.manager(), era))
        denied(gateway.post(call(era, "crm.charge", {}), tokens.manager(), era))
        denied(gateway.post(call(era, "crm.get_customer", {"amount": 1}), tokens.support(), era))


def test_open_policy_agent_decides(through: Through) -> None:
    for era in (LEGACY, MODERN):
        for name, text in [("opa", "At most 50."), ("opa_boolean", None)]:
            gateway = through(name)
            gateway.post(call(era, "crm.charge", {"amount": 50}), tokens.manager(), era).forwarded()
            for amount in (51, "50", None, [1]):
                exchange = gateway.post(call(era, "crm.charge", {"amount": amount}), tokens.manager(), era)
                denied(exchange, *[text] if text else [])
            denied(gateway.post(call(era, "crm.get_customer", {"amount": 1}), tokens.support(), era), *[text] if text else [])
        through("opa_undefined").post(call(era, "crm.charge", {}), tokens.manager(), era).unavailable(UNREADABLE)


# The Todo scenario of AuthZEN's interoperability tests: roles of its users, and its decisions.
RICK, MORTY, SUMMER = "rick@the-citadel.com", "morty@the-citadel.com", "summer@the-smiths.com"
BETH, JERRY = "beth@the-smiths.com", "jerry@the-smiths.com"
READS = ["can_read_user", "can_read_todos"]
CHANGES = ["can_update_todo", "can_delete_todo"]
SCENARIO: list[tuple[str, str, str, bool]] = [
    *((user, action, RICK, True) for user in (RICK, MORTY, SUMMER, BETH, JERRY) for action in READS),
    *((user, "can_create_todo", user, True) for user in (RICK, MORTY, SUMMER)),
    *((user, "can_create_todo", user, False) for user in (BETH, JERRY)),
    *((RICK, action, owner, True) for action in CHANGES for owner in (RICK, MORTY)),
    *((user, action, RICK, False) for user in (MORTY, SUMMER, BETH, JERRY) for action in CHANGES),
    *((user, action, user, True) for user in (MORTY, SUMMER) for action in CHANGES),
    *((user, action, user, False) for user in (BETH, JERRY) for action in CHANGES),
]


def test_the_todo_scenario_of_authzens_interoperability_tests(through: Through, point: OwnPoint) -> None:
    known = {(user, action, owner): decision for user, action, owner, decision in SCENARIO}

    def answer(question: dict[str, Any]) -> KeyAnswer:
        assert set(question) == {"subject", "action", "resource"}
        owner = question["resource"]["properties"]["ownerID"]
        return decided(known[(question["subject"]["id"], question["action"]["name"], owner)])

    point.paths["/todo"] = answer
    gateway = through("todo")
    for user, action, owner, decision in SCENARIO:
        exchange = gateway.post(call(LEGACY, action, {"ownerID": owner}), tokens.support(sub=user))
        exchange.forwarded() if decision else denied(exchange)
