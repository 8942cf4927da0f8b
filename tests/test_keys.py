"""Key sets are fetched from the policy's cluster, once for all waiting requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from .harness import client, tokens
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.http_server import KeyAnswer
from .harness.issuer import Issuer, keys_answer
from .harness.keys import b64url, key
from .harness.messages import LEGACY, call, post
from .harness.policy import fetched, policy
from .harness.waiting import eventually

# How long the filter leaves an issuer alone: after a good answer, and after a bad one.
REFETCH_PAUSE = 30.0
RETRY_PAUSE = 5.0
# How long keys of one listener stay good while their issuer fails.
KEEP_S = 6

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})

BAD_ANSWERS = {
    "error": KeyAnswer(503, b"upstream connect error", "text/plain"),
    "error_with_keys": keys_answer(key("ES256"), status=503),
    "not_found": KeyAnswer(404, b"no", "text/plain"),
    "html": KeyAnswer(200, b"<html><body>Sign in</body></html>", "text/html"),
    "redirect": KeyAnswer(302, b"", location="/keys/good"),
    "no_content": KeyAnswer(200, b""),
    "text": KeyAnswer(200, b"keys", "text/plain"),
    "list": KeyAnswer(200, json.dumps([key("ES256").jwk()]).encode()),
    "no_keys": KeyAnswer(200, b"{}"),
    "empty": KeyAnswer(200, b'{"keys":[]}'),
    "keys_object": KeyAnswer(200, b'{"keys":{}}'),
    "cut": KeyAnswer(200, keys_answer(key("ES256")).body[:-3]),
    "two_documents": KeyAnswer(200, keys_answer(key("ES256")).body * 2),
    "keys_twice": KeyAnswer(200, b'{"keys":[],' + keys_answer(key("ES256")).body[1:]),
    "huge": KeyAnswer(200, b'{"keys":[],"x":"' + b"y" * 5_000_000 + b'"}'),
}


def unusable_keys() -> KeyAnswer:
    """A set in which one key is good; the others must be passed over, not trusted."""
    symmetric = {"kty": "oct", "kid": "secret", "alg": "HS256", "k": b64url(b"s" * 32)}
    encrypting = key("ES256", "encrypting").jwk(use="enc")
    weak = key("RS256", "weak", 1024).jwk()
    mislabelled = key("RS256", "mislabelled").jwk(alg="ES256")
    off_curve = {**key("ES256", "off-curve").jwk(), "x": b64url(b"\1" * 32)}
    keys = [symmetric, encrypting, weak, mislabelled, off_curve, {"kty": "?"}, {}, key("ES256").jwk()]
    return KeyAnswer(body=json.dumps({"keys": keys}).encode())


def served(path: str, **jwks: object) -> Listener:
    """The usual policy, with keys from this path."""
    return Listener(policy(issuers=[fetched(path, jwks=jwks)]))


LISTENERS = {
    "good": served("/keys/good"),
    "rotating": served("/keys/rotating"),
    "refreshed": served("/keys/refreshed", refresh="2s", keep="10m"),
    "kept": served("/keys/kept", refresh="1s", keep=f"{KEEP_S}s"),
    "slow": served("/keys/slow"),
    "left": served("/keys/left"),
    "never": served("/keys/never"),
    "unusable": served("/keys/unusable"),
    "same_issuer_other_keys": served("/keys/others"),
    "recovering": served("/keys/recovering"),
    "dead": Listener(policy(issuers=[fetched("/keys", jwks={"cluster": "dead"})])),
    "no_such_cluster": Listener(policy(issuers=[fetched("/keys", jwks={"cluster": "nowhere"})])),
    **{f"bad_{name}": served(f"/keys/bad/{name}") for name in BAD_ANSWERS},
}


@pytest.fixture(scope="module", autouse=True)
def key_sets(issuer: Issuer) -> None:
    """What the key server says at first."""
    good = keys_answer(key("ES256"), key("RS256"))
    for name in ("good", "rotating", "refreshed", "kept"):
        issuer.paths[f"/keys/{name}"] = good
    issuer.paths["/keys/slow"] = keys_answer(key("ES256"), delay=0.6)
    issuer.paths["/keys/left"] = keys_answer(key("ES256"))
    issuer.paths["/keys/never"] = keys_answer(key("ES256"), delay=600)
    issuer.paths["/keys/unusable"] = unusable_keys()
    issuer.paths["/keys/others"] = keys_answer(key("ES256", "others"))
    issuer.paths["/keys/recovering"] = BAD_ANSWERS["error"]
    for name, answer in BAD_ANSWERS.items():
        issuer.paths[f"/keys/bad/{name}"] = answer


# === fetching ===


def b40_a_first_fetch_starts_the_clock_for_rotation(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    """First here, so that the pause is over when the rotation test needs it to be."""
    through("rotating").post(BODY, tokens.support()).forwarded()
    assert issuer.fetches["/keys/rotating"] == 1


def b40_keys_are_fetched_once_for_all_waiting_requests(
    through: Callable[[str], Gateway], issuer: Issuer
) -> None:
    gateway = through("slow")
    responses = client.together(gateway.port, [post(BODY, tokens.support())] * 8)
    assert [response.status for response in responses] == [200] * 8
    lines = gateway.lines(8)
    assert {line.record["decision"] for line in lines if line.record} == {"approved"}
    assert len(gateway.upstream.take().requests) == 8
    assert issuer.fetches["/keys/slow"] == 1


def b40_requests_after_the_first_do_not_fetch(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    for _ in range(5):
        through("good").post(BODY, tokens.support()).forwarded()
    assert issuer.fetches["/keys/good"] == 1


def b40_many_unknown_keys_cause_at_most_one_fetch(
    through: Callable[[str], Gateway], issuer: Issuer
) -> None:
    gateway = through("good")
    gateway.post(BODY, tokens.support()).forwarded()
    before = issuer.fetches["/keys/good"]
    stranger = key("ES256", "stranger")
    for number in range(40):
        token = tokens.support(signer=stranger, header={"kid": f"k{number}"})
        gateway.post(BODY, token).refused({401, 503})
    assert issuer.fetches["/keys/good"] - before <= 2
    gateway.post(BODY, tokens.support()).forwarded()


def b40_a_timer_keeps_keys_fresh(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    gateway = through("refreshed")
    gateway.post(BODY, tokens.support()).forwarded()
    new = key("ES256", "refreshed")
    issuer.paths["/keys/refreshed"] = keys_answer(new)
    eventually(
        lambda: gateway.post(BODY, tokens.support(signer=new)).status == 200,
        "the filter has the new key, after fetches:",
        lambda: issuer.fetches["/keys/refreshed"],
    )
    # The old key is gone, for remembered tokens too.
    old = tokens.support(jti="unseen")
    gateway.post(BODY, old).refused(401)


def b40_good_keys_outlive_a_failing_issuer_until_their_limit(
    through: Callable[[str], Gateway], issuer: Issuer
) -> None:
    gateway, token = through("kept"), tokens.support()
    gateway.post(BODY, token).forwarded()
    issuer.paths["/keys/kept"] = BAD_ANSWERS["error"]
    last_good, changed = issuer.fetched_at["/keys/kept"], time.monotonic()
    # The filter tries to refresh the keys every second.
    time.sleep(2)
    for each in (token, tokens.support(jti="unseen")):
        exchange = gateway.post(BODY, each)
        # On a very slow machine the limit is over by now, and this says nothing.
        if time.monotonic() - last_good < KEEP_S - 1:
            exchange.forwarded()
    time.sleep(max(0.0, changed + KEEP_S + 1.5 - time.monotonic()))
    gateway.post(BODY, token).unavailable()


def b40_keys_of_an_issuer_that_recovers_are_used(
    through: Callable[[str], Gateway], issuer: Issuer
) -> None:
    gateway = through("recovering")
    gateway.post(BODY, tokens.support()).unavailable()
    issuer.paths["/keys/recovering"] = keys_answer(key("ES256"))
    time.sleep(RETRY_PAUSE + 1.1)
    gateway.post(BODY, tokens.support()).forwarded()


def h09_keys_of_one_policy_are_not_used_by_another(through: Callable[[str], Gateway]) -> None:
    """Two listeners, one VM, one issuer name, two key sets."""
    first, second = tokens.support(), tokens.support(signer=key("ES256", "others"))
    through("good").post(BODY, first).forwarded()
    through("same_issuer_other_keys").post(BODY, second).forwarded()
    through("same_issuer_other_keys").post(BODY, first).refused(401)
    through("good").post(BODY, second).refused(401)


UNUSABLE = {
    "weak": lambda: tokens.support(signer=key("RS256", "weak", 1024)),
    "encrypting": lambda: tokens.support(signer=key("ES256", "encrypting")),
    "mislabelled": lambda: tokens.support(signer=key("RS256", "mislabelled")),
    "off_curve": lambda: tokens.support(signer=key("ES256", "off-curve")),
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def b38_published_keys_that_are_not_fit_for_signatures(
    through: Callable[[str], Gateway], make: Callable[[], str]
) -> None:
    through("unusable").post(BODY, make()).refused(401)
    through("unusable").post(BODY, tokens.support()).forwarded()


# === failing ===


@pytest.mark.parametrize("name", BAD_ANSWERS)
def h13_invalid_key_sets_make_the_filter_unavailable(
    through: Callable[[str], Gateway], issuer: Issuer, name: str
) -> None:
    exchange = through(f"bad_{name}").post(BODY, tokens.support())
    if name == "empty":
        # A well-formed set without keys: it may count as an answer or as a failure, but no token is accepted.
        exchange.refused({401, 503})
    else:
        exchange.unavailable()
    assert issuer.fetches[f"/keys/bad/{name}"] == 1


@pytest.mark.parametrize("listener", ["dead", "no_such_cluster"])
def h13_a_dead_issuer(through: Callable[[str], Gateway], listener: str) -> None:
    through(listener).post(BODY, tokens.support()).unavailable()


def h13_an_issuer_that_never_answers(through: Callable[[str], Gateway]) -> None:
    through("never").post(BODY, tokens.support()).unavailable()


def h13_requests_without_a_token_do_not_fetch(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    before = issuer.fetches["/keys/left"]
    for name in ("dead", "left"):
        through(name).post(BODY, None).refused(401)
        through(name).post(BODY, tokens.support(iss="https://attacker.example")).refused(401)
        through(name).post(BODY, tokens.support(aud="https://billing.example.com")).refused(401)
        through(name).post(BODY, tokens.support(exp=1)).refused(401)
    assert issuer.fetches["/keys/left"] == before


def h10_clients_that_leave_while_keys_are_fetched(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    gateway = through("left")
    request = post(BODY, tokens.support())
    with issuer.held("/keys/left"):
        for number in range(3):
            with client.Connection(gateway.port) as connection:
                connection.start(request)
                connection.send(request.body or b"")
                gateway.wait_for_arrival(number + 1)
                connection.abort()
        gateway.lines(3)
    response = client.send(gateway.port, request)
    gateway.exchange(response).forwarded()
    assert issuer.fetches["/keys/left"] == 1


# === only where the policy says ===


@pytest.mark.parametrize("name", ["jku", "x5u"])
def b41_addresses_in_a_token_are_never_called(
    through: Callable[[str], Gateway], issuer: Issuer, name: str
) -> None:
    attacker = key("ES256", "attacker")
    issuer.paths["/attacker"] = keys_answer(attacker)
    url = f"http://127.0.0.1:{issuer.port}/attacker"
    for claims in ({}, {"iss": url}, {"iss": f"http://127.0.0.1:{issuer.port}"}):
        token = tokens.support(signer=attacker, header={name: url, "iss": url}, **claims)
        through("good").post(BODY, token).refused(401)
    assert issuer.fetches["/attacker"] == 0
    assert not [path for path in issuer.fetches if "well-known" in path]


def b41_headers_do_not_choose_where_keys_come_from(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    issuer.paths["/attacker"] = keys_answer(key("ES256", "attacker"))
    headers = [("host", f"127.0.0.1:{issuer.port}"), ("x-forwarded-host", f"127.0.0.1:{issuer.port}")]
    token = tokens.support(signer=key("ES256", "attacker"))
    through("good").post(BODY, token, headers=headers).refused({401, 403})
    assert issuer.fetches["/attacker"] == 0


# === rotation, last: it needs the pause that began with the first test ===


def b40_an_unknown_key_causes_one_fetch(through: Callable[[str], Gateway], issuer: Issuer) -> None:
    gateway, new = through("rotating"), key("ES256", "rotated")
    issuer.paths["/keys/rotating"] = keys_answer(key("ES256"), new)
    since = time.monotonic() - issuer.fetched_at["/keys/rotating"]
    time.sleep(max(0.0, REFETCH_PAUSE + 1.5 - since))
    gateway.post(BODY, tokens.support(signer=new)).forwarded()
    assert issuer.fetches["/keys/rotating"] == 2
    gateway.post(BODY, tokens.support(signer=key("ES256", "stranger"))).refused(401)
    assert issuer.fetches["/keys/rotating"] == 2
