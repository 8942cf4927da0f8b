"""Only a valid token for this server identifies a caller."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .harness import tokens, wrong_tokens
from .harness.client import Connection
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.http import Text
from .harness.keys import key
from .harness.messages import LEGACY, call, post
from .harness.policy import ALGORITHMS, issuer, policy
from .harness.tokens import OTHER_ISSUER, RESOURCE
from .harness.waiting import wait_until
from .harness.wrong_tokens import WrongToken

LISTENERS = {
    "crm": Listener(policy()),
    "without_host_check": Listener(policy(), without=("proxy_call_foreign_function",)),
    "exact_clock": Listener(policy(issuers=[issuer(clock_skew="0s")])),
    "rs256_only": Listener(policy(issuers=[issuer(algorithms=["RS256"])])),
    "untyped": Listener(policy(issuers=[issuer(types=["at+jwt", "absent"])])),
    "audiences": Listener(policy(issuers=[issuer(audiences=["api://crm", "crm-legacy"])])),
    "long_lived": Listener(policy(issuers=[issuer(max_lifetime="365d")])),
    "exact_claims": Listener(
        policy(issuers=[issuer(identity={"user": ["https://example.com/user.id"], "organization": "org_id"})])
    ),
}

# Envoy checks signatures by RSA and ECDSA, or the module does if Envoy may not be asked.
CHECKERS = pytest.mark.parametrize("listener", ["crm", "without_host_check"])
BODY = call(LEGACY, "crm.get_customer", {"query": "x"})


def invalid(exchange: Exchange, status: int | set[int] = 401) -> None:
    """Refused as a bad token, with a challenge that says so and where to sign in."""
    exchange.refused(status, None, "needs_review")
    if exchange.status == 401:
        challenge = exchange.response.header("www-authenticate") or ""
        assert challenge.startswith("Bearer ")
        assert 'error="invalid_token"' in challenge and "resource_metadata=" in challenge


@CHECKERS
@pytest.mark.parametrize("make", wrong_tokens.SIGNATURES.values(), ids=wrong_tokens.SIGNATURES)
def b38_untrusted_signatures_are_refused(
    through: Callable[[str], Gateway], make: WrongToken, listener: str
) -> None:
    exchange = through(listener).post(BODY, make())
    exchange.refused({400, 401})


@pytest.mark.parametrize("make", wrong_tokens.HEADERS.values(), ids=wrong_tokens.HEADERS)
def b38_headers_of_other_token_types_are_refused(gateway: Gateway, make: WrongToken) -> None:
    invalid(gateway.post(BODY, make()))


@pytest.mark.parametrize("make", wrong_tokens.CLAIMS.values(), ids=wrong_tokens.CLAIMS)
def b38_invalid_claims_are_refused(gateway: Gateway, make: WrongToken) -> None:
    invalid(gateway.post(BODY, make()))


@pytest.mark.parametrize("make", wrong_tokens.ISSUERS.values(), ids=wrong_tokens.ISSUERS)
def b38_keys_of_one_issuer_do_not_sign_for_another(gateway: Gateway, make: WrongToken) -> None:
    invalid(gateway.post(BODY, make()))


@pytest.mark.parametrize("make", wrong_tokens.AUDIENCES.values(), ids=wrong_tokens.AUDIENCES)
def b39_tokens_for_another_audience_are_refused(gateway: Gateway, make: WrongToken) -> None:
    invalid(gateway.post(BODY, make()))


@pytest.mark.parametrize("audience", [RESOURCE, [RESOURCE], ["account", RESOURCE]])
def b39_tokens_for_this_server_are_accepted(gateway: Gateway, audience: object) -> None:
    gateway.post(BODY, tokens.support(aud=audience)).forwarded(BODY)


def b39_configured_audiences_replace_the_resource(through: Callable[[str], Gateway]) -> None:
    gateway = through("audiences")
    gateway.post(BODY, tokens.support(aud="api://crm")).forwarded()
    gateway.post(BODY, tokens.support(aud=["x", "crm-legacy"])).forwarded()
    for audience in (RESOURCE, "api://crm/", "api://CRM", "api://"):
        invalid(gateway.post(BODY, tokens.support(aud=audience)))


@CHECKERS
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(through: Callable[[str], Gateway], algorithm: str, listener: str) -> None:
    gateway = through(listener)
    token = tokens.support(signer=key(algorithm))
    gateway.post(BODY, token).forwarded(BODY)
    head, payload, signature = token.split(".")
    broken = tokens.remember(f"{head}.{payload}.{'A' * 8}{signature[8:]}")
    invalid(gateway.post(BODY, broken))


def test_the_log_says_which_library_checks_signatures(envoy: Envoy) -> None:
    log = envoy.log()
    checked = "signatures by RSA (RS256, RS384, RS512) and ECDSA are checked by"
    assert f"{checked} Envoy's `verify_signature`" in log
    assert f"{checked} the module: Envoy offers no `verify_signature` that can be used" in log


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_types_of_access_tokens(gateway: Gateway, typ: str) -> None:
    gateway.post(BODY, tokens.support(header={"typ": typ})).forwarded()


def b38_types_are_the_policys_choice(through: Callable[[str], Gateway]) -> None:
    gateway = through("untyped")
    gateway.post(BODY, tokens.support(header={"typ": tokens.OMIT})).forwarded()
    invalid(gateway.post(BODY, tokens.support(header={"typ": "JWT"})))


def b38_algorithms_are_the_policys_choice(through: Callable[[str], Gateway]) -> None:
    gateway = through("rs256_only")
    gateway.post(BODY, tokens.support(signer=key("RS256"))).forwarded()
    for algorithm in ("RS384", "PS256", "ES256", "EdDSA"):
        invalid(gateway.post(BODY, tokens.support(signer=key(algorithm))))


def test_a_second_issuer(gateway: Gateway) -> None:
    token = tokens.support(iss=OTHER_ISSUER, signer=key("ES256", "other"))
    gateway.post(BODY, token).forwarded()


def test_a_key_id_may_be_absent(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support(header={"kid": tokens.OMIT}))
    assert exchange.status in (200, 401)
    assert exchange.record["decision"] in ("approved", "needs_review")


def test_the_clocks_may_differ_a_little(gateway: Gateway, through: Callable[[str], Gateway]) -> None:
    for claims in ({"exp": -10}, {"nbf": 10}, {"iat": 10}):
        now = int(time.time())
        gateway.post(BODY, tokens.support(**{name: now + seconds for name, seconds in claims.items()})).forwarded()
    now = int(time.time())
    invalid(through("exact_clock").post(BODY, tokens.support(exp=now - 2, iat=now - 60)))
    invalid(through("exact_clock").post(BODY, tokens.support(nbf=now + 10)))


def test_lifetimes_are_the_policys_choice(through: Callable[[str], Gateway]) -> None:
    token = tokens.support(exp=int(time.time()) + 300 * 24 * 3600)
    through("long_lived").post(BODY, token).forwarded()
    invalid(through("crm").post(BODY, token))


def b38_a_remembered_token_still_expires(through: Callable[[str], Gateway]) -> None:
    gateway = through("exact_clock")
    expires = int(time.time()) + 4
    request = post(BODY, tokens.support(exp=expires))
    with Connection(gateway.port) as connection:
        for _ in range(2):
            exchange = gateway.exchange(connection.request(request))
            # On a very slow machine it has expired by now, and this says nothing.
            if time.time() < expires:
                exchange.forwarded()
        wait_until(expires + 1)
        invalid(gateway.exchange(connection.request(request)))


def b38_a_cached_token_is_not_used_for_a_similar_one(gateway: Gateway) -> None:
    good = tokens.support()
    gateway.post(BODY, good).forwarded()
    head, payload, signature = good.split(".")
    for wrong in (f"{head}.{payload}.{signature[:-4]}AAAA", f"{head}.{payload}", f"{good}x", good.lower()):
        gateway.post(BODY, tokens.remember(wrong)).refused({400, 401})
    gateway.post(BODY, good).forwarded()


def b38_a_remembered_token_belongs_to_one_policy(through: Callable[[str], Gateway]) -> None:
    token = tokens.support()
    through("crm").post(BODY, token).forwarded()
    invalid(through("audiences").post(BODY, token))
    invalid(through("rs256_only").post(BODY, token))


AUTHORIZATIONS: list[Text] = [
    "",
    "Bearer",
    "Bearer ",
    "Basic dXNlcjpwYXNz",
    "Token {token}",
    "{token}",
    "Bearer {token} {token}",
    "Bearer {token},Bearer {token}",
    "Bearer {token}, Basic dXNlcjpwYXNz",
    'Bearer "{token}"',
    "Bearer={token}",
    "Bearer\t{token}\t{token}",
    "DPoP {token}",
    b"Bearer \xff\xff",
]


@pytest.mark.parametrize("value", AUTHORIZATIONS)
def b38_other_forms_of_authorization(gateway: Gateway, value: Text) -> None:
    text = value if isinstance(value, bytes) else value.replace("{token}", tokens.support())
    exchange = gateway.post(BODY, None, headers=[("authorization", text)])
    exchange.refused({400, 401})
    assert "www-authenticate" in dict(exchange.response.headers) or exchange.status == 400


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_in_any_case(gateway: Gateway, scheme: str) -> None:
    headers = [("authorization", f"{scheme} {tokens.support()}")]
    gateway.post(BODY, None, headers=headers).forwarded()


ELSEWHERE = ["cookie", "x-authorization", "proxy-authorization", "x-access-token", "mcp-authorization", "x-forwarded-authorization"]


@pytest.mark.parametrize("name", ELSEWHERE)
def b38_tokens_in_other_places_do_not_count(gateway: Gateway, name: str) -> None:
    headers = [(name, f"Bearer {tokens.support()}"), (name, f"access_token={tokens.support()}")]
    exchange = gateway.post(BODY, None, headers=headers[:1])
    exchange.refused({400, 401})


def test_claims_with_dots_in_their_names(through: Callable[[str], Gateway]) -> None:
    token = tokens.token(**{"https://example.com/user.id": "user-carl", "org_id": 17})
    received = through("exact_claims").post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, token).forwarded()
    assert received.header("x-mcp-user") == "user-carl"
    assert received.header("x-mcp-organization") == "17"
