"""Opaque tokens are introspected at their issuer (RFC 7662), once for all waiting requests, with a short cache."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import client, tokens, wrong_tokens
from .harness.envoy import Envoy, StartError
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Gateway
from .harness.http_server import KeyAnswer
from .harness.introspection import CLIENT_SECRET, Introspection, active
from .harness.keys import key
from .harness.messages import LEGACY, call, post
from .harness.policy import SECRET_ENV, introspected, issuer, policy
from .harness.tokens import ISSUER, OMIT, OTHER_ISSUER, RESOURCE
from .harness.waiting import eventually

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})

UNAVAILABLE = "introspection_unavailable"

# How many tokens a worker asks about at the same time, and how many of one network wait for that.
MOST_CALLS = 32
MOST_WAITING = 192
# How long a refusal is remembered.
REFUSED = 30.0

# What would let a caller in, were it an answer.
GOOD = json.dumps(active()).encode()
UNSURE = {
    name: json.dumps(active(active=value)).encode()
    for name, value in {"text": "true", "number": 1, "null": None, "list": [True]}.items()
}

BAD_ANSWERS = {
    "error": KeyAnswer(503, b"upstream connect error", "text/plain"),
    "error_with_answer": KeyAnswer(500, GOOD),
    "created": KeyAnswer(201, GOOD),
    "wrong_client": KeyAnswer(401, b'{"error":"invalid_client"}'),
    "html": KeyAnswer(200, b"<html><body>Sign in</body></html>", "text/html"),
    "redirect": KeyAnswer(302, b"", location="/introspect"),
    "no_content": KeyAnswer(200, b""),
    "in_a_list": KeyAnswer(200, b"[" + GOOD + b"]"),
    "empty": KeyAnswer(200, b"{}"),
    **{f"active_{name}": KeyAnswer(200, body) for name, body in UNSURE.items()},
    "cut": KeyAnswer(200, GOOD[:-1]),
    "twice": KeyAnswer(200, b'{"active":false,' + GOOD[1:]),
    "two_documents": KeyAnswer(200, GOOD * 2),
    "huge": KeyAnswer(200, GOOD[:-1] + b',"x":"' + b"y" * 5_000_000 + b'"}'),
}


def asked(path: str = "/introspect", **endpoint: object) -> Listener:
    """The usual policy, with one issuer that is asked and one with keys."""
    asked_issuer = introspected(path, introspection=endpoint)
    with_keys = issuer(key("ES256", "other"), name=OTHER_ISSUER)
    return Listener(
        policy(issuers=[asked_issuer, with_keys]), environment={SECRET_ENV: CLIENT_SECRET}
    )


LISTENERS = {
    "crm": asked(),
    "brief": asked(cache="1s"),
    "slow": asked("/introspect/slow"),
    "flooded": asked("/introspect/flooded"),
    "left": asked("/introspect/left"),
    "never": asked("/introspect/never"),
    "recovering": asked("/introspect/recovering"),
    "dead": asked(cluster="dead"),
    "no_such_cluster": asked(cluster="nowhere"),
    **{f"bad_{name}": asked(f"/introspect/bad/{name}") for name in BAD_ANSWERS},
}


@pytest.fixture(scope="module", autouse=True)
def endpoint(introspection: Introspection) -> None:
    """How the endpoint behaves by path."""
    introspection.delays |= {
        "/introspect/slow": 0.5,
        "/introspect/never": 600,
    }
    for name, answer in BAD_ANSWERS.items():
        introspection.paths[f"/introspect/bad/{name}"] = answer


# === asking ===


def test_an_opaque_token_identifies_the_caller(gateway: Gateway, introspection: Introspection) -> None:
    exchange = gateway.post(BODY, introspection.token(sub="user-carl", org_id="org-c"))
    received = exchange.forwarded(BODY)
    assert received.header("x-mcp-user") == "user-carl"
    assert received.header("x-mcp-organization") == "org-c"
    assert received.header("x-mcp-roles") == "support"
    assert received.header("authorization") is None
    evidence = exchange.record["evidence"]
    assert {"source": "token", "summary": f"introspected, issuer {ISSUER}"} in evidence


def test_the_question_is_that_of_rfc_7662(gateway: Gateway, introspection: Introspection) -> None:
    token = introspection.token()
    gateway.post(BODY, token).forwarded()
    question = introspection.questions[-1]
    assert question.form == {"token": [token], "token_type_hint": ["access_token"]}
    assert question.headers["host"] == "login.example.com"
    assert question.headers["accept"] == "application/json"


def test_roles_and_scopes_are_the_answers(gateway: Gateway, introspection: Introspection) -> None:
    roles = {"realm_access": {"roles": ["manager"]}}
    refund = call(LEGACY, "crm.refund", {"amount": 5})
    gateway.post(refund, introspection.token(**roles)).refused(403)
    token = introspection.token(scope="crm:write crm:refund", **roles)
    gateway.post(refund, token).forwarded()
    gateway.post(refund, introspection.token(scope="crm:write crm:refund")).refused(200, -32602)


def test_a_jwt_goes_to_the_issuer_it_names(gateway: Gateway, introspection: Introspection) -> None:
    before = introspection.calls.total()
    own = tokens.support(iss=OTHER_ISSUER, signer=key("ES256", "other"))
    gateway.post(BODY, own).forwarded()
    gateway.post(BODY, tokens.support(iss="https://attacker.example")).invalid_token("token_issuer_untrusted")
    gateway.post(BODY, tokens.support(iss=OTHER_ISSUER)).invalid_token()
    assert introspection.calls.total() == before
    asked_about = introspection.know(tokens.support(jti="asked-about"), sub="user-carl")
    received = gateway.post(BODY, asked_about).forwarded()
    assert received.header("x-mcp-user") == "user-carl", "the answer counts, not the token"
    gateway.post(BODY, tokens.support(jti="not-known")).invalid_token("token_inactive")


# === what is said is checked ===

WRONG = {
    "issuer": {"iss": "https://attacker.example"},
    "issuer_list": {"iss": [ISSUER]},
    "no_expiry": {"exp": OMIT},
    "expired": {"exp": 1},
    "not_yet": {"nbf": int(time.time()) + tokens.LIFETIME_S},
    "no_subject": {"sub": OMIT},
    "refresh_token": {"token_type": "refresh_token"},
    "refresh_token_of_keycloak": {"typ": "Refresh"},
    "refresh_token_of_hydra": {"token_use": "refresh_token"},
    "id_token": {"at_hash": "x"},
    "bound": {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
    "bound_to_a_certificate": {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
def b38_an_answer_is_checked_like_a_token(
    gateway: Gateway, introspection: Introspection, claims: dict[str, object]
) -> None:
    gateway.post(BODY, introspection.token(**claims)).invalid_token()


AUDIENCES = {
    "missing": OMIT,
    "empty_list": [],
    "empty": "",
    "another_server": "https://billing.example.com/mcp",
    "ours_with_a_slash": f"{RESOURCE}/",
    "list_without_ours": [f"{RESOURCE}x", "account"],
    "number": 1,
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def b39_a_token_for_another_audience_is_refused(
    gateway: Gateway, introspection: Introspection, audience: object
) -> None:
    gateway.post(BODY, introspection.token(aud=audience)).invalid_token()


def test_an_audience_among_others(gateway: Gateway, introspection: Introspection) -> None:
    gateway.post(BODY, introspection.token(aud=["account", RESOURCE], iss=OMIT)).forwarded()


# === asked once ===


def b40_an_answer_is_used_for_its_time(gateway: Gateway, introspection: Introspection) -> None:
    token = introspection.token()
    for _ in range(5):
        gateway.post(BODY, token).forwarded()
    assert introspection.calls[token] == 1


def b40_a_revoked_token_passes_no_longer_than_the_cache(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, token = through("brief"), introspection.token()
    gateway.post(BODY, token).forwarded()
    introspection.revoke(token)
    time.sleep(2.1)
    gateway.post(BODY, token).invalid_token("token_inactive")
    assert introspection.calls[token] == 2


def b40_a_refused_token_is_not_asked_about_again_at_once(
    gateway: Gateway, introspection: Introspection
) -> None:
    unknown = tokens.remember("opaque-unknown-to-the-issuer")
    for _ in range(3):
        gateway.post(BODY, unknown).invalid_token("token_inactive")
    assert introspection.calls[unknown] == 1
    time.sleep(REFUSED + 1.1)
    introspection.know(unknown)
    gateway.post(BODY, unknown).forwarded()


def b40_requests_that_wait_share_one_introspection(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, token = through("slow"), introspection.token()
    responses = client.together(gateway.port, [post(BODY, token)] * 8)
    assert [response.status for response in responses] == [200] * 8
    gateway.lines(8)
    assert len(gateway.upstream.take().requests) == 8
    assert introspection.calls[token] == 1


def b40_a_flood_of_made_up_tokens(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, known = through("flooded"), introspection.token()
    gateway.post(BODY, known).forwarded()
    before = introspection.calls.total()
    made_up = [tokens.remember(f"opaque-made-up-number-{number}") for number in range(MOST_WAITING + 50)]
    flood = threading.Thread(target=client.together, args=(gateway.port, [post(BODY, each) for each in made_up]))
    with introspection.held("/introspect/flooded"):
        flood.start()
        refused = 50
        eventually(lambda: gateway.logged() >= refused, f"{refused} requests are refused, but there are", gateway.logged)
        assert client.send(gateway.port, post(BODY, known)).status == 200, "a known token is accepted meanwhile"
    flood.join()
    reasons = [line.record["reason"] for line in gateway.lines(len(made_up) + 1) if line.record]
    assert reasons.count("token_inactive") >= MOST_CALLS
    assert reasons.count("introspection_busy") >= 50
    assert introspection.calls.total() - before <= MOST_WAITING
    assert introspection.most_at_once["/introspect/flooded"] <= MOST_CALLS
    assert len(gateway.upstream.take().requests) == 1
    late = introspection.token()
    gateway.post(BODY, late).forwarded()


def b40_tokens_of_other_kinds_are_not_introspected(
    gateway: Gateway, introspection: Introspection
) -> None:
    before = introspection.calls.total()
    gateway.post(BODY, None).refused(401)
    for name in ("id_token", "identity_assertion_grant", "dpop_proof", "logout_token"):
        gateway.post(BODY, wrong_tokens.HEADERS[name]()).invalid_token("token_type_wrong")
    gateway.post(BODY, tokens.support(typ="Refresh")).invalid_token("token_type_wrong")
    assert gateway.post(BODY, "x" * 33_000).refused(431).record["reason"] == "token_too_large"
    assert introspection.calls.total() == before


# === failing ===


@pytest.mark.parametrize("name", BAD_ANSWERS)
def h13_invalid_answers_authenticate_no_caller(
    through: Callable[[str], Gateway], introspection: Introspection, name: str
) -> None:
    token = introspection.token()
    through(f"bad_{name}").post(BODY, token).unavailable(UNAVAILABLE)
    assert introspection.calls[token] == 1


@pytest.mark.parametrize("listener", ["dead", "no_such_cluster"])
def h13_a_dead_endpoint(through: Callable[[str], Gateway], listener: str) -> None:
    through(listener).post(BODY, tokens.remember(f"opaque-at-a-{listener}-endpoint")).unavailable(UNAVAILABLE)


def h13_an_endpoint_that_never_answers(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    through("never").post(BODY, introspection.token()).unavailable(UNAVAILABLE)


def h13_an_old_answer_does_not_stand_in_for_a_failed_one(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, token = through("brief"), introspection.token()
    gateway.post(BODY, token).forwarded()
    introspection.paths["/introspect"] = BAD_ANSWERS["error"]
    try:
        time.sleep(2.1)
        gateway.post(BODY, token).unavailable(UNAVAILABLE)
    finally:
        del introspection.paths["/introspect"]
    time.sleep(2.1)
    gateway.post(BODY, token).forwarded()


def h13_the_log_names_the_failure(
    envoy: Envoy, through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    for name, words in {
        "wrong_client": "answered with status 401",
        "active_text": "`active` is not `true` or `false`",
        "html": "not a strict JSON object",
    }.items():
        before = len(envoy.log())
        through(f"bad_{name}").post(BODY, introspection.token()).unavailable(UNAVAILABLE)
        assert f"introspection of {ISSUER}: {words}" in envoy.log()[before:]


def h10_clients_that_leave_while_the_issuer_is_asked(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway, token = through("left"), introspection.token()
    request = post(BODY, token)
    with introspection.held("/introspect/left"):
        for number in range(3):
            with client.Connection(gateway.port) as connection:
                connection.start(request)
                connection.send(request.body or b"")
                gateway.wait_for_arrival(number + 1)
                connection.abort()
        gateway.lines(3)
    gateway.exchange(client.send(gateway.port, request)).forwarded()
    assert introspection.calls[token] == 1


# === the secret ===


@pytest.mark.parametrize("environment", [None, {SECRET_ENV: ""}, {"OTHER": "x"}], ids=repr)
def test_without_its_secret_the_policy_does_not_load(
    directory: Path, clusters: dict[str, Cluster], environment: dict[str, str] | None
) -> None:
    listener = Listener(policy(issuers=[introspected()]), environment=environment)
    with pytest.raises(StartError) as error:
        Envoy(directory, {"crm": listener}, clusters)
    assert "issuers[0].introspection.client_secret_env" in str(error.value)
    assert f"`{SECRET_ENV}`" in str(error.value)


def b45_an_answer_is_not_logged(envoy: Envoy, gateway: Gateway, introspection: Introspection) -> None:
    """That no log has the token or the secret is checked after every module."""
    claims = active(email="anna@private.example")
    token = introspection.token(email=claims["email"])
    gateway.post(BODY, token).forwarded()
    assert claims["email"] not in envoy.log() + envoy.access_path.read_text()
