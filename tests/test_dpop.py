"""Tokens bound to a key: each request needs a new proof (RFC 9449)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .harness import client, dpop, tokens
from .harness.client import Request
from .harness.dpop import CALLER, THIEF, bound, challenges, proof, public, request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.introspection import CLIENT_SECRET, Introspection
from .harness.issuer import Issuer, keys_answer
from .harness.keys import SigningKey, key
from .harness.messages import LEGACY, MODERN, call, post
from .harness.policy import METADATA, SECRET_ENV, fetched, introspected, policy
from .harness.tokens import OMIT, RESOURCE
from .harness.waiting import wait_until

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})
ALGORITHMS = 'algs="ES256 EdDSA"'

LISTENERS = {
    "required": Listener(policy(dpop="required")),
    "accepted": Listener(policy(dpop="accepted")),
    "refused": Listener(policy()),
    "brief": Listener(policy(dpop="required", dpop_window="2s")),
    "elsewhere": Listener(policy(dpop="required", path="/inside")),
    "observed": Listener(policy(dpop="required", mode="observe")),
    "buffered": Listener(
        policy(dpop="required", hold="buffer_filter"), stop_iteration=False, buffer_filter=262144
    ),
    "fetched": Listener(policy(dpop="required", issuers=[fetched("/keys/dpop")])),
    "asked": Listener(
        policy(dpop="accepted", issuers=[introspected()]), environment={SECRET_ENV: CLIENT_SECRET}
    ),
}


def refused(exchange: Exchange, reason: str | None = None, error: str = "invalid_dpop_proof") -> None:
    """Refused with a challenge that names the error and what a proof may be signed with."""
    exchange.refused(401, None, "needs_review")
    challenge = challenges(exchange.response.headers)["DPoP"]
    assert f'error="{error}"' in challenge and ALGORITHMS in challenge
    assert f'resource_metadata="{METADATA}"' in challenge
    assert reason is None or exchange.record["reason"] == reason
    assert exchange.record["next_action"]


# === accepted ===


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("listener", ["required", "accepted", "buffered"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def b44_a_proven_token_passes(
    through: Callable[[str], Gateway], listener: str, era: str, http2: bool
) -> None:
    body = call(era, "crm.get_customer", {"query": "x"})
    exchange = through(listener).send(request(body, bound(), era=era), http2)
    received = exchange.forwarded(body)
    assert received.header("x-mcp-user") == tokens.USER
    assert received.header("dpop") is None and received.header("authorization") is None
    assert exchange.record["evidence"][0]["summary"].endswith("with a DPoP proof")


@pytest.mark.parametrize("signer", [CALLER, key("EdDSA", "caller-ed")], ids=["ES256", "EdDSA"])
def b44_every_algorithm(gateway: Gateway, signer: SigningKey) -> None:
    token = bound(signer)
    for _ in range(2):
        gateway.send(request(BODY, token, proof(token, signer=signer))).forwarded(BODY)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def b44_requests_without_a_body(gateway: Gateway, method: str) -> None:
    token = bound()
    headers = dpop.headers(token, proof(token, method))
    gateway.bodyless(method, headers=headers).received
    refused(gateway.bodyless(method, headers=dpop.headers(token, proof(token))), "dpop_method")


URLS = [RESOURCE, "HTTPS://CRM.example.COM:443/mcp", f"{RESOURCE}?a=b#c", "https://crm.example.com/%6dcp"]


@pytest.mark.parametrize("url", URLS)
def test_one_url_in_other_spellings(gateway: Gateway, url: str) -> None:
    token = bound()
    gateway.send(request(BODY, token, proof(token, htu=url))).forwarded(BODY)


def test_the_url_is_the_resources_and_not_envoys(through: Callable[[str], Gateway]) -> None:
    gateway, token = through("elsewhere"), bound()
    gateway.send(request(BODY, token, path="/inside")).forwarded(BODY)
    inside = proof(token, htu="https://crm.example.com/inside")
    refused(gateway.send(request(BODY, token, inside, path="/inside")), "dpop_url")
    host = proof(token, htu="https://evil.example/mcp")
    extra: Any = [*dpop.headers(token, host), ("host", "evil.example"), ("x-forwarded-host", "evil.example")]
    refused(gateway.send(post(BODY, None, headers=extra, path="/inside")), "dpop_url")


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "DPoP"])
def test_the_scheme_in_any_case(gateway: Gateway, scheme: str) -> None:
    token = bound()
    headers: Any = [("authorization", f"{scheme} {token}"), ("dpop", proof(token))]
    gateway.send(post(BODY, None, headers=headers)).forwarded(BODY)


# === refused ===

PROOFS: dict[str, tuple[str, Callable[[str], str]]] = {
    "type_jwt": ("dpop_type", lambda t: proof(t, header={"typ": "JWT"})),
    "type_missing": ("dpop_type", lambda t: proof(t, header={"typ": OMIT})),
    "the_token_itself": ("dpop_type", lambda t: t),
    "alg_none": ("dpop_algorithm", lambda t: proof(t, header={"alg": "none"})),
    "alg_symmetric": ("dpop_algorithm", lambda t: proof(t, header={"alg": "HS256"})),
    "alg_rsa": ("dpop_algorithm", lambda t: proof(t, signer=key("RS256", "caller-rsa"))),
    "alg_es384": ("dpop_algorithm", lambda t: proof(t, signer=key("ES384", "caller-384"))),
    "alg_of_another_key": ("dpop_key", lambda t: proof(t, header={"alg": "EdDSA"})),
    "key_missing": ("dpop_key", lambda t: proof(t, header={"jwk": OMIT})),
    "key_private": ("dpop_key", lambda t: proof(t, header={"jwk": {**public(CALLER), "d": "x"}})),
    "key_symmetric": ("dpop_key", lambda t: proof(t, header={"jwk": {"kty": "oct", "k": "x"}})),
    "key_off_curve": ("dpop_key", lambda t: proof(t, header={"jwk": {**public(CALLER), "x": "A" * 43}})),
    "key_url": ("dpop_header", lambda t: proof(t, header={"jku": "https://attacker.example"})),
    "critical": ("dpop_header", lambda t: proof(t, header={"crit": ["exp"]})),
    "another_key": ("dpop_binding", lambda t: proof(t, signer=THIEF)),
    "another_signature": ("dpop_signature", lambda t: proof(t, by=THIEF)),
    "method": ("dpop_method", lambda t: proof(t, htm="GET")),
    "method_lower": ("dpop_method", lambda t: proof(t, htm="post")),
    "method_missing": ("dpop_claim", lambda t: proof(t, htm=OMIT)),
    "url": ("dpop_url", lambda t: proof(t, htu="https://evil.example/mcp")),
    "url_prefix": ("dpop_url", lambda t: proof(t, htu="https://crm.example.com/")),
    "url_scheme": ("dpop_url", lambda t: proof(t, htu="http://crm.example.com/mcp")),
    "url_user": ("dpop_url", lambda t: proof(t, htu="https://x@crm.example.com/mcp")),
    "url_relative": ("dpop_url", lambda t: proof(t, htu="/mcp")),
    "url_missing": ("dpop_claim", lambda t: proof(t, htu=OMIT)),
    "token_hash": ("dpop_token", lambda t: proof(t, ath=dpop.digest(b"another"))),
    "token_hash_missing": ("dpop_claim", lambda t: proof(t, ath=OMIT)),
    "old": ("dpop_time", lambda t: proof(t, iat=int(time.time()) - 310)),
    "ahead": ("dpop_time", lambda t: proof(t, iat=int(time.time()) + 310)),
    "milliseconds": ("dpop_time", lambda t: proof(t, iat=int(time.time()) * 1000)),
    "time_missing": ("dpop_claim", lambda t: proof(t, iat=OMIT)),
    "time_text": ("dpop_claim", lambda t: proof(t, iat="now")),
    "expired": ("dpop_time", lambda t: proof(t, exp=int(time.time()) - 1)),
    "name_missing": ("dpop_claim", lambda t: proof(t, jti=OMIT)),
    "name_empty": ("dpop_claim", lambda t: proof(t, jti="")),
    "name_number": ("dpop_claim", lambda t: proof(t, jti=7)),
    "not_a_jwt": ("dpop_malformed", lambda _: "proof"),
    "empty": ("dpop_malformed", lambda _: ""),
    "two_in_one": ("dpop_malformed", lambda t: f"{proof(t)},{proof(t)}"),
    "padded": ("dpop_malformed", lambda t: f"{proof(t)}=="),
    "huge": ("dpop_malformed", lambda t: proof(t, x="y" * 10_000)),
}


@pytest.mark.parametrize("reason, make", PROOFS.values(), ids=PROOFS)
def b44_invalid_proofs_are_refused(
    gateway: Gateway, reason: str, make: Callable[[str], str]
) -> None:
    token = bound()
    refused(gateway.send(request(BODY, token, make(token))), reason)


def b44_one_proof_and_not_two(gateway: Gateway) -> None:
    token = bound()
    refused(gateway.send(post(BODY, None, headers=dpop.headers(token))), "dpop_missing")
    twice = request(BODY, token, proof(token), proof(token))
    refused(gateway.send(twice))
    refused(gateway.send(request(BODY, token, b"\xff\xfe")), "dpop_malformed")
    both = request(BODY, token)
    both.headers.append(("authorization", f"Bearer {tokens.support()}"))
    gateway.send(both).refused({400, 401})


def b44_a_proof_counts_once(gateway: Gateway) -> None:
    token = bound()
    used = proof(token)
    gateway.send(request(BODY, token, used)).forwarded()
    for _ in range(3):
        refused(gateway.send(request(BODY, token, used)), "dpop_replayed")
    same_name = proof(token, jti="my-proof")
    gateway.send(request(BODY, token, same_name)).forwarded()
    refused(gateway.send(request(BODY, token, proof(token, jti="my-proof"))), "dpop_replayed")
    gateway.send(request(BODY, token)).forwarded()


def b44_a_refused_call_uses_its_proof_up(gateway: Gateway) -> None:
    token = bound()
    used = proof(token)
    gateway.send(request(call(LEGACY, "crm.purge"), token, used)).refused(200, -32602)
    refused(gateway.send(request(BODY, token, used)), "dpop_replayed")


def b44_a_thief_cannot_use_up_a_callers_proofs(gateway: Gateway) -> None:
    token = bound()
    refused(gateway.send(request(BODY, token, proof(token, jti="next", signer=THIEF))), "dpop_binding")
    refused(gateway.send(request(BODY, token, proof(token, jti="next", by=THIEF))), "dpop_signature")
    gateway.send(request(BODY, token, proof(token, jti="next"))).forwarded()


def b44_a_proof_of_another_token_is_refused(gateway: Gateway) -> None:
    first, second = bound(), bound(jti="second")
    refused(gateway.send(request(BODY, first, proof(second))), "dpop_token")


def b44_the_window_is_the_policys(through: Callable[[str], Gateway]) -> None:
    gateway, token = through("brief"), bound()
    late = proof(token, iat=int(time.time()) - 5)
    refused(gateway.send(request(BODY, token, late)), "dpop_time")
    made = int(time.time())
    used = proof(token, iat=made)
    exchange = gateway.send(request(BODY, token, used))
    # On a very slow machine the window is over by now, and this says nothing.
    if time.time() < made + 2:
        exchange.forwarded()
    wait_until(made + 3.1)
    refused(gateway.send(request(BODY, token, used)), "dpop_time")


# === which token needs which scheme ===


@pytest.mark.parametrize("listener, reason", [("refused", "token_bound"), ("accepted", "token_bound"), ("required", "dpop_required")])
def b44_a_bound_token_is_no_bearer_token(
    through: Callable[[str], Gateway], listener: str, reason: str
) -> None:
    gateway, token = through(listener), bound()
    for headers in ([], [("dpop", proof(token))]):
        exchange = gateway.post(BODY, token, headers=headers).refused(401, None, "needs_review")
        assert exchange.record["reason"] == reason
    if listener != "refused":
        # Neither once it is known.
        gateway.send(request(BODY, token)).forwarded()
        gateway.post(BODY, token).refused(401)


def b44_a_proof_with_an_unbound_token_is_refused(through: Callable[[str], Gateway]) -> None:
    token = tokens.support()
    through("accepted").post(BODY, token).forwarded(BODY)
    refused(through("required").post(BODY, token), "dpop_required", "invalid_token")
    for listener in ("accepted", "required"):
        exchange = through(listener).send(request(BODY, token))
        refused(exchange, "token_not_bound", "invalid_token")


def b44_a_token_bound_to_a_certificate_too(gateway: Gateway) -> None:
    jkt = dpop.thumbprint(CALLER)
    for confirmation in ({"x5t#S256": "x"}, {"jkt": jkt, "x5t#S256": "x"}, {"jkt": [jkt]}, {}):
        token = tokens.support(cnf=confirmation)
        refused(gateway.send(request(BODY, token)), "token_bound", "invalid_token")


def b38_a_proof_does_not_make_a_token_good(gateway: Gateway) -> None:
    for reason, changes in {
        "token_expired": {"exp": 1},
        "token_audience": {"aud": "https://billing.example.com"},
        "token_issuer": {"iss": "https://attacker.example"},
    }.items():
        refused(gateway.send(request(BODY, bound(**changes))), reason, "invalid_token")


def test_a_policy_without_dpop_does_not_speak_it(through: Callable[[str], Gateway]) -> None:
    gateway = through("refused")
    exchange = gateway.send(request(BODY, bound())).refused(401, None, "needs_review")
    assert list(challenges(exchange.response.headers)) == ["Bearer"]
    document = gateway.send(Request("GET", METADATA.removeprefix("https://crm.example.com"))).response.json
    assert not [name for name in document if name.startswith("dpop")]


# === told ===


def test_the_challenges(through: Callable[[str], Gateway]) -> None:
    exchange = through("required").post(BODY, None).refused(401)
    assert challenges(exchange.response.headers) == {
        "DPoP": f'resource_metadata="{METADATA}", {ALGORITHMS}'
    }
    exchange = through("accepted").post(BODY, None).refused(401)
    assert challenges(exchange.response.headers) == {
        "Bearer": f'resource_metadata="{METADATA}"',
        "DPoP": f'resource_metadata="{METADATA}", {ALGORITHMS}',
    }
    exchange = through("accepted").send(request(BODY, bound(), "bad"))
    found = challenges(exchange.response.headers)
    assert "error=" not in found["Bearer"] and 'error="invalid_dpop_proof"' in found["DPoP"]
    exchange = through("accepted").post(BODY, "bad").refused(401)
    assert all('error="invalid_token"' in each for each in challenges(exchange.response.headers).values())


@pytest.mark.parametrize("listener, required", [("required", True), ("accepted", False)])
def test_the_metadata(through: Callable[[str], Gateway], listener: str, required: bool) -> None:
    path = METADATA.removeprefix("https://crm.example.com")
    document = through(listener).send(Request("GET", path)).response.json
    assert document["dpop_signing_alg_values_supported"] == ["ES256", "EdDSA"]
    assert document["dpop_bound_access_tokens_required"] is required


# === with the rest ===


def b44_a_proof_ends_here_also_among_the_trailers(gateway: Gateway) -> None:
    token = bound()
    sent = request(BODY, token, trailers=[("dpop", proof(token)), ("x-other", "kept")], chunked=True)
    received = gateway.send(sent).forwarded(BODY)
    assert dict(received.trailers) == {"x-other": "kept"}


def b44_a_proof_outlasts_a_wait_for_keys(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    issuer.paths["/keys/dpop"] = keys_answer(key("ES256"), delay=0.3)
    gateway, token = through("fetched"), bound()
    used = proof(token)
    gateway.send(request(BODY, token, used)).forwarded(BODY)
    refused(gateway.send(request(BODY, token, used)), "dpop_replayed")


def b44_an_opaque_token_is_bound_by_its_introspection(
    through: Callable[[str], Gateway], introspection: Introspection
) -> None:
    gateway = through("asked")
    confirmation = {"cnf": {"jkt": dpop.thumbprint(CALLER)}, "token_type": "DPoP"}
    token = introspection.token(**confirmation)
    gateway.send(request(BODY, token)).forwarded(BODY)
    exchange = gateway.post(BODY, token).refused(401)
    assert exchange.record["reason"] == "token_bound"
    refused(gateway.send(request(BODY, token, proof(token, signer=THIEF))), "dpop_binding")
    assert introspection.calls[token] == 1
    keyless = introspection.token(token_type="DPoP")
    gateway.post(BODY, keyless).refused(401)
    refused(gateway.send(request(BODY, keyless)), "token_bound", "invalid_token")
    # A bad proof is not worth a call.
    unknown = introspection.token(**confirmation)
    refused(gateway.send(request(BODY, unknown, "bad")), "dpop_malformed")
    assert introspection.calls[unknown] == 0


def test_observe_mode_logs_what_enforcing_would_refuse(through: Callable[[str], Gateway]) -> None:
    gateway, token = through("observed"), bound()
    sent = proof(token)
    received = gateway.send(request(BODY, token, sent)).received
    assert received.header("dpop") == sent, "nothing is changed"
    exchange = gateway.send(request(BODY, token, sent))
    assert exchange.record["decision"] == "draft"
    assert exchange.record["reason"] == "dpop_replayed"


def b44_many_proofs_on_one_connection(gateway: Gateway) -> None:
    token = bound()
    used = [proof(token) for _ in range(20)]
    with client.Connection(gateway.port) as connection:
        for each in used:
            assert connection.request(request(BODY, token, each)).status == 200
    gateway.settle()
    for each in used:
        refused(gateway.send(request(BODY, token, each)), "dpop_replayed")
