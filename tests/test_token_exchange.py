"""The caller's token is exchanged for one of the server, at real authorization servers and at bad ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from demo import proxy

from .clients.provider import Provider
from .harness import client, tokens
from .harness.answers import json_answer
from .harness.envoy import ROOT, Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Exchange, Gateway
from .harness.http import Received
from .harness.introspection import Introspection
from .harness.issuer import KeyAnswer
from .harness.keys import key, key_set
from .harness.messages import LEGACY, MODERN, call, post
from .harness.policy import policy
from .harness.tokens import ISSUER, RESOURCE, USER
from .harness.upstream import Upstream
from .harness.waiting import eventually

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})

# The server as its authorization server names it.
CRM = "https://crm.internal.example.com/"
SCOPE = "crm.use"
STRANGER = "user-nobody-knows-there"
SECRET = tokens.remember("exchange s3cret+/%:&=")
ENVIRONMENT = {"EXCHANGE_SECRET": SECRET, "MCP_AUTH_KEY": "k" * 40}
FILTER = {"client_id": "mcp-auth", "client_secret_env": "EXCHANGE_SECRET"}

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
GIVEN = {
    "access_token": tokens.remember("for-the-server-from-bad-ones"),
    "issued_token_type": ACCESS_TOKEN,
    "token_type": "Bearer",
    "expires_in": 300,
}


def exchanging(cluster: str, path: str = "/token", **changes: Any) -> Listener:
    """The usual policy, with the caller's token exchanged there."""
    top = {name: changes.pop(name) for name in ("mode", "anonymous") if name in changes}
    # The tests' own servers take a public client: each listener with secrets has a VM to itself.
    client = FILTER if cluster == "identity" else {"client_id": "mcp-auth"}
    exchange = {"cluster": cluster, "path": path, **client, "audience": CRM, "scopes": [SCOPE], **changes}
    upstream = {"authorization": "exchange", "exchange": exchange}
    return Listener(policy(upstream=upstream, **top), environment=ENVIRONMENT if client is FILTER else None)


def shipped() -> Listener:
    """The policy to start from, with the authorization server of these tests."""
    about = proxy.load(ROOT / "envoy" / "exchange-policy.yaml")
    about |= {"resource": RESOURCE, "issuers": policy()["issuers"]}
    about["upstream"]["exchange"] |= {"cluster": "identity", **FILTER, "audience": CRM, "scopes": [SCOPE]}
    return Listener(about, environment=ENVIRONMENT)


def answered(**changes: Any) -> KeyAnswer:
    """An answer of a bad authorization server, which is good but for the changes."""
    body = {name: value for name, value in {**GIVEN, **changes}.items() if value is not None}
    return KeyAnswer(body=json.dumps(body).encode())


def refused(error: str) -> KeyAnswer:
    """A refusal (RFC 6749 section 5.2)."""
    return KeyAnswer(400, json.dumps({"error": error}).encode())


UNUSABLE = (502, -32603, "exchange_answer_unreadable")
UNAVAILABLE = (503, 503, "exchange_unavailable")

# What comes back, and what the caller is told: status, code, reason.
FAILURES: dict[str, tuple[KeyAnswer, tuple[int, int, str]]] = {
    "grant": (refused("invalid_grant"), (401, 401, "exchange_token_refused")),
    "target": (refused("invalid_target"), (403, 403, "exchange_denied")),
    "client": (refused("invalid_client"), (502, -32603, "exchange_client_refused")),
    "down": (KeyAnswer(503, b"no"), UNAVAILABLE),
    "redirect": (KeyAnswer(302, b"", location="/exchange"), UNAVAILABLE),
    "html": (KeyAnswer(200, b"<html>", "text/html"), UNUSABLE),
    "not_said": (answered(issued_token_type=None), UNUSABLE),
    "no_access_token": (answered(token_type="N_A"), UNUSABLE),
    "bound": (answered(token_type="DPoP"), UNUSABLE),
    "line_break": (answered(access_token="a\r\nx-mcp-user: eve"), UNUSABLE),
}

# Answers that differ from the specification as those of known servers do.
DEVIATIONS: dict[str, KeyAnswer] = {
    "text": answered(expires_in="300"),
    "decimal": answered(expires_in=299.5),
    "endless": answered(expires_in=0),
    "apigee": answered(token_type="BearerToken", expires_in="1799"),
    "untyped": answered(token_type=None),
    "created": KeyAnswer(201, answered().body),
}

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
# The answer of an identity provider that issues an assertion (draft-ietf-oauth-identity-assertion-authz-grant).
ASSERTED = {"access_token": tokens.remember("an-assertion"), "issued_token_type": ID_JAG, "token_type": "N_A", "expires_in": 300}

OWN = {"cluster": "own", "path": "/token", **FILTER}
LISTENERS = {
    "crm": exchanging("identity", anonymous={"tools": ["docs.*"]}),
    "shipped": shipped(),
    "two_steps": exchanging("identity", resource=CRM, id_jag=OWN),
    # Callers send ID tokens, as the draft has it.
    "id_tokens": exchanging(
        "introspection",
        "/exchange/asserted",
        audience="https://as.crm.internal.example.com",
        resource=CRM,
        subject_token_type="id_token",
        id_jag={"cluster": "introspection", "path": "/exchange/redeemed", "client_id": "mcp-auth-there"},
    ),
    "observing": exchanging("identity", mode="observe"),
    "counted": exchanging("introspection", "/exchange/counted"),
    "slow": exchanging("introspection", "/exchange/slow"),
    "left": exchanging("introspection", "/exchange/left"),
    "renewed": exchanging("introspection", "/exchange/renewed"),
    "dead": exchanging("dead"),
    "nowhere": exchanging("no_such_cluster"),
    **{f"bad_{name}": exchanging("introspection", f"/exchange/bad/{name}") for name in FAILURES},
    **{f"odd_{name}": exchanging("introspection", f"/exchange/odd/{name}") for name in DEVIATIONS},
}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Provider]]:
    """Who exchanges callers' tokens, and the server's own authorization server."""
    directory = tmp_path_factory.mktemp("authorities")
    registered = {"client_id": "mcp-auth", "client_secret": SECRET, "redirect_uris": [], "response_types": []}
    about: dict[str, Any] = {
        "clients": [{**registered, "grant_types": [EXCHANGE, ASSERTION]}],
        "scopes": [SCOPE],
        "audiences": [CRM],
        "strangers": [STRANGER],
        "subjects": {"issuer": ISSUER, "audience": RESOURCE, "keys": key_set(key("ES256"))},
    }
    identity = Provider(about, directory / "identity.log", "token-exchange.js")
    about |= {"assertions": identity.issuer, "strangers": [f"{STRANGER}-here"]}
    own = Provider(about, directory / "own.log", "token-exchange.js")
    yield {"identity": identity, "own": own}
    identity.close()
    own.close()


@pytest.fixture(scope="module")
def envoy(
    clusters: dict[str, Cluster],
    authorities: dict[str, Provider],
    introspection: Introspection,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Envoy]:
    """Envoy, once the servers that it calls are running."""
    LISTENERS["two_steps"].policy["upstream"]["exchange"]["audience"] = authorities["own"].issuer
    for name, answer in DEVIATIONS.items():
        introspection.paths[f"/exchange/odd/{name}"] = answer
    for name, (answer, _) in FAILURES.items():
        introspection.paths[f"/exchange/bad/{name}"] = answer
    for name in ("counted", "slow", "left", "renewed"):
        introspection.paths[f"/exchange/{name}"] = answered()
    introspection.paths["/exchange/asserted"] = KeyAnswer(body=json.dumps(ASSERTED).encode())
    introspection.paths["/exchange/redeemed"] = answered(issued_token_type=None)
    introspection.delays |= {"/exchange/slow": 0.8}
    known = {name: Cluster(each.port) for name, each in authorities.items()}
    running = Envoy(tmp_path_factory.mktemp("exchange"), LISTENERS, {**clusters, **known})
    with running.checked():
        yield running


@pytest.fixture(autouse=True)
def nothing_noted(authorities: dict[str, Provider]) -> None:
    """Forget what was asked before."""
    for each in authorities.values():
        each.reset()


def claims_for_server(received: Received, authority: Provider) -> dict[str, Any]:
    """The claims of the token the server got, verified as a server does."""
    scheme, _, token = (received.header("authorization") or "").partition(" ")
    assert scheme == "Bearer"
    signer = jwt.PyJWKClient(f"{authority.issuer}/jwks").get_signing_key_from_jwt(token)
    return jwt.decode(token, signer.key, algorithms=["ES256"], audience=CRM, issuer=authority.issuer)


def questions(introspection: Introspection, path: str) -> list[dict[str, list[str]]]:
    """The forms that arrived at a path."""
    return [each.form for each in introspection.questions if each.path == path]


# === real authorization servers ===


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b23_the_server_gets_a_real_token_of_the_callers_and_nothing_else(
    gateway: Gateway, authorities: dict[str, Provider], era: str
) -> None:
    token = tokens.support(jti=f"real-{era}")
    exchange = gateway.post(call(era, "crm.get_customer", {"query": "x"}), token, era)
    received = exchange.forwarded()
    claims = claims_for_server(received, authorities["identity"])
    assert (claims["sub"], claims["scope"]) == (USER, SCOPE)
    assert token not in str(received)
    assert exchange.record["upstream_credential"] == "exchanged"


def test_the_shipped_policy_works_as_documented(
    through: Callable[[str], Gateway], authorities: dict[str, Provider]
) -> None:
    received = through("shipped").post(BODY, tokens.manager(jti="shipped")).forwarded(BODY)
    assert claims_for_server(received, authorities["identity"])["sub"] == USER


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def b23_streams_and_session_ends_have_the_exchanged_token(
    gateway: Gateway, authorities: dict[str, Provider], method: str
) -> None:
    exchange = gateway.bodyless(method, token=tokens.support(jti=method))
    received = exchange.forwarded(status=405)
    assert claims_for_server(received, authorities["identity"])["sub"] == USER


def test_a_token_is_exchanged_once(gateway: Gateway, authorities: dict[str, Provider]) -> None:
    token = tokens.support(jti="once")
    sent = {gateway.post(BODY, token).forwarded().header("authorization") for _ in range(3)}
    other = gateway.post(BODY, tokens.support(jti="another")).forwarded()
    assert len(sent) == 1 and other.header("authorization") not in sent
    assert len(authorities["identity"].grants(EXCHANGE)) == 2


def test_a_user_without_access_to_the_server_is_told(gateway: Gateway, authorities: dict[str, Provider]) -> None:
    token = tokens.support(sub=STRANGER)
    for _ in range(2):
        exchange = gateway.post(BODY, token).refused(403, 403, "blocked")
        assert exchange.record["reason"] == "exchange_denied"
        assert b"no access to the server behind" in exchange.response.body
    assert len(authorities["identity"].grants(EXCHANGE)) == 1


def test_an_assertion_is_redeemed_at_the_servers_own(
    through: Callable[[str], Gateway], authorities: dict[str, Provider]
) -> None:
    exchange = through("two_steps").post(BODY, tokens.support(jti="asserted"))
    claims = claims_for_server(exchange.forwarded(BODY), authorities["own"])
    assert (claims["sub"], claims["scope"]) == (USER, SCOPE)
    assert [each.status for each in authorities["own"].grants(ASSERTION)] == [200]


def test_a_user_unknown_to_the_servers_issuer_is_told(through: Callable[[str], Gateway]) -> None:
    token = tokens.support(sub=f"{STRANGER}-here")
    exchange = through("two_steps").post(BODY, token).refused(403, 403)
    assert exchange.record["reason"] == "exchange_denied"


def test_anonymous_and_observed_requests_exchange_no_token(
    gateway: Gateway, through: Callable[[str], Gateway], authorities: dict[str, Provider]
) -> None:
    nobody = gateway.post(call(LEGACY, "docs.find", {}), None)
    assert nobody.forwarded().header("authorization") is None
    assert nobody.record["upstream_credential"] == "none"
    gateway.post(call(LEGACY, "crm.purge", {}), tokens.support(jti="denied")).refused(200, -32602)
    token = tokens.support(jti="observed")
    observed = through("observing").post(BODY, token)
    assert observed.received.header("authorization") == f"Bearer {token}"
    assert observed.record["upstream_credential"] == "passed"
    assert not authorities["identity"].grants(EXCHANGE)


# === the tests' own ===


def test_an_id_token_becomes_an_assertion_and_that_a_token(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    token = tokens.support(jti="id-token", nonce="n", auth_time=1)
    received = through("id_tokens").post(BODY, token).forwarded(BODY)
    assert received.header("authorization") == f"Bearer {GIVEN['access_token']}"
    assert token not in str(received) and ASSERTED["access_token"] not in str(received)
    [asserted] = questions(introspection, "/exchange/asserted")
    assert asserted == {
        "grant_type": [EXCHANGE],
        "requested_token_type": [ID_JAG],
        "audience": ["https://as.crm.internal.example.com"],
        "resource": [CRM],
        "scope": [SCOPE],
        "subject_token": [token],
        "subject_token_type": [ID_TOKEN],
        "client_id": ["mcp-auth"],
    }
    [redeemed] = questions(introspection, "/exchange/redeemed")
    assert redeemed["grant_type"] == [ASSERTION] and redeemed["assertion"] == [ASSERTED["access_token"]]
    assert redeemed["client_id"] == ["mcp-auth-there"] and token not in str(redeemed)


def test_the_exchange_request_follows_rfc_8693(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    token = tokens.support(jti="question")
    received = through("counted").post(BODY, token).forwarded(BODY)
    assert received.header("authorization") == f"Bearer {GIVEN['access_token']}"
    assert questions(introspection, "/exchange/counted") == [
        {
            "grant_type": [EXCHANGE],
            "requested_token_type": [ACCESS_TOKEN],
            "audience": [CRM],
            "scope": [SCOPE],
            "subject_token": [token],
            "subject_token_type": [ACCESS_TOKEN],
            "client_id": ["mcp-auth"],
        }
    ]
    assert introspection.questions[-1].headers["host"] == "login.example.com"


@pytest.mark.parametrize("name", DEVIATIONS)
def test_answers_of_known_servers_are_read(through: Callable[[str], Gateway], name: str) -> None:
    exchange = through(f"odd_{name}").post(BODY, tokens.support(jti=f"odd-{name}"))
    received = exchange.forwarded(BODY)
    assert received.header("authorization") == f"Bearer {GIVEN['access_token']}"


@pytest.mark.parametrize("name", FAILURES)
def test_without_an_exchanged_token_requests_are_refused(through: Callable[[str], Gateway], name: str) -> None:
    _, (status, code, reason) = FAILURES[name]
    gateway = through(f"bad_{name}")
    told(gateway.post(BODY, tokens.support(jti=name)).refused(status, code), reason)
    told(gateway.get(token=tokens.support(jti=f"{name}-get")).refused(status), reason)


@pytest.mark.parametrize("name", ["dead", "nowhere"])
def h13_without_an_authorization_server_the_client_is_told_when_to_come_back(
    through: Callable[[str], Gateway], name: str
) -> None:
    told(through(name).post(BODY, tokens.support()).refused(503, 503, "blocked"), "exchange_unavailable")


def told(exchange: Exchange, reason: str) -> None:
    """Refused, with what helps."""
    assert exchange.record["reason"] == reason
    assert exchange.record["next_action"]
    assert "upstream_credential" not in exchange.record
    assert (exchange.response.header("retry-after") is not None) == (exchange.status == 503)
    challenge = exchange.response.header("www-authenticate") or ""
    assert ('error="invalid_token"' in challenge) == (exchange.status == 401)


def test_requests_that_come_together_wait_for_one_exchange(
    through: Callable[[str], Gateway], introspection: Introspection, upstream: Upstream
) -> None:
    gateway, request = through("slow"), post(BODY, tokens.support(jti="together"))
    threads = [threading.Thread(target=client.send, args=(gateway.port, request)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {line.code for line in gateway.lines(12)} == {200}
    assert len(questions(introspection, "/exchange/slow")) == 1
    sent = [each.header("authorization") for each in upstream.take().requests]
    assert sent == [f"Bearer {GIVEN['access_token']}"] * 12


def test_a_client_that_leaves_does_not_cancel_a_shared_exchange(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, request = through("left"), post(BODY, tokens.support(jti="left"))
    with introspection.held("/exchange/left"):
        leaver = client.Connection(gateway.port)
        leaver.start(request)
        for piece in client.encoded_pieces(request):
            leaver.send(piece)
        eventually(lambda: questions(introspection, "/exchange/left"), "the exchange is asked for")
        stays = threading.Thread(target=client.send, args=(gateway.port, request))
        stays.start()
        gateway.wait_for_arrival(2)
        leaver.abort()
        (line,) = gateway.lines(1)
        assert line.record is not None and line.record["reason"] == "client_gone"
    stays.join()
    assert [line.record["reason"] for line in gateway.lines(1) if line.record] == ["allowed"]
    assert len(questions(introspection, "/exchange/left")) == 1


def test_a_token_the_server_does_not_take_is_exchanged_anew(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, token = through("renewed"), tokens.support(jti="renewed")
    gateway.upstream.answer = json_answer({}, status=401)
    for expected in (1, 2):
        assert gateway.post(BODY, token).status == 401
        assert len(questions(introspection, "/exchange/renewed")) == expected
