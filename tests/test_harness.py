"""The tests' own tools, tried on an Envoy without the filter."""

from __future__ import annotations

import os
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from .harness import client, left_behind, web, wrong_tokens
from .harness.answers import Answer, event_stream, gzipped, json_answer, result
from .harness.client import Request
from .harness.envoy import Envoy, StartError
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Gateway
from .harness.http_server import KeyAnswer
from .harness.issuer import Issuer, keys_answer
from .harness.keys import b64url, key
from .harness.messages import MODERN, call, post
from .harness.process import end
from .harness.tokens import ISSUER, OMIT, RESOURCE, claims, token
from .harness.upstream import Upstream
from .harness.waiting import eventually

LISTENERS = {
    "plain": Listener(),
    "http2_server": Listener(cluster="upstream_h2"),
    "dead_server": Listener(cluster="dead"),
    "small_buffer": Listener(buffer_limit=8192, buffer_filter=4096),
}

BODY = call(MODERN, "crm.get_customer", {"id": 7})


@pytest.mark.parametrize("listener", ["plain", "http2_server"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("trailers", [[], [("x-checksum", "1")]], ids=["plain", "trailers"])
def test_a_request_arrives_as_sent(
    through: Callable[[str], Gateway], listener: str, http2: bool, trailers: list[tuple[str, str]]
) -> None:
    request = post(BODY, "token", MODERN, trailers=trailers)
    exchange = through(listener).send(request, http2)
    assert exchange.status == 200
    assert exchange.received.body == request.body
    assert exchange.received.header("mcp-name") == "crm.get_customer"
    assert exchange.received.header("authorization") == "Bearer token"
    assert exchange.received.trailers == trailers
    assert exchange.line.record is None and exchange.line.code == 200
    assert exchange.response.json == result({"content": [{"type": "text", "text": "ok"}]})


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_a_body_in_single_bytes_arrives_whole(gateway: Gateway, http2: bool) -> None:
    request = post(BODY, None, MODERN, chunked=True, pause=0.0005)
    request.chunks = [bytes([byte]) for byte in request.body or b""]
    assert gateway.send(request, http2).received.json == BODY


def test_a_large_body_over_http2_arrives_whole(gateway: Gateway) -> None:
    body = call(MODERN, "crm.import", {"text": "x" * 300_000})
    assert gateway.post(body, None, MODERN, http2=True).received.json == body


def test_header_bytes_and_repetitions_arrive(gateway: Gateway) -> None:
    headers: list[tuple[str | bytes, str | bytes]] = [("x-a", b"\xff\xfe"), ("X-B", "1"), ("x-b", "2")]
    received = gateway.post(BODY, None, MODERN, headers).received
    assert received.header("x-a") == "\xff\xfe"
    assert received.all("x-b") == ["1", "2"]


@pytest.mark.parametrize("listener", ["plain", "http2_server"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_an_event_stream_with_trailers_comes_back(
    through: Callable[[str], Gateway], upstream: Upstream, listener: str, http2: bool
) -> None:
    gateway = through(listener)
    stream = event_stream(result({"tools": []}), newline=b"\r\n").split(1)
    upstream.answer = stream.with_(trailers=[("x-end", "1")], pause=0.0005)
    headers = [("te", "trailers")]
    response = gateway.post(BODY, None, MODERN, headers, http2=http2).response
    assert response.body == b"".join(stream.chunks)
    assert response.rpc() == result({"tools": []})
    assert response.trailers == [("x-end", "1")]


def test_compressed_and_failing_answers_come_back(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = gzipped(json_answer(result({})))
    response = gateway.post(BODY, None, MODERN).response
    assert response.header("content-encoding") == "gzip"
    assert response.body.startswith(b"\x1f\x8b")
    upstream.answer = json_answer({"error": "no"}, status=500)
    assert gateway.post(BODY, None, MODERN).status == 500


def test_a_cut_answer_is_seen_as_cut(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = Answer(200, [("content-type", "text/event-stream")], [b"data: 1\n\n"], cut=True)
    assert not gateway.post(BODY, None, MODERN).response.complete


def test_an_endless_stream_can_be_read_while_it_lasts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = event_stream({"n": 1}).with_(endless=True)
    with client.Connection(gateway.port) as connection:
        connection.start(Request("GET"))
        assert connection.response_head().status == 200
        assert b'{"n":1}' in connection.read_until(b"\n\n")
        assert not gateway.logged()
    assert gateway.lines(1)[0].code == 200


def test_surplus_bytes_on_a_connection_are_seen(upstream: Upstream) -> None:
    """What a body longer than its content-length becomes: a second request, or garbage."""
    smuggled = b"POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    with client.Connection(upstream.port) as connection:
        connection.send(smuggled + b"GET /two HTTP/1.1\r\nhost: a\r\n\r\n" + b'"x":1}POST / HTTP/1.1\r\n')
        connection.response()
        connection.response()
        eventually(lambda: upstream.recording.garbage, "the server notes the surplus bytes")
    recording = upstream.take()
    assert [request.path for request in recording.requests] == ["/mcp", "/two"]
    assert recording.garbage == [b'"x":1}POST / HTTP/1.1\r\n']


def test_half_a_request_is_seen(upstream: Upstream) -> None:
    with client.Connection(upstream.port) as connection:
        connection.send(b"POST /mcp HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
        eventually(lambda: upstream.unread().endswith(b"half"), "half a request has arrived, but", upstream.unread)
        connection.abort()
    assert upstream.take().bytes > 0


def test_a_dead_server_is_reported_by_envoy(through: Callable[[str], Gateway]) -> None:
    exchange = through("dead_server").post(BODY, None, MODERN)
    assert exchange.status == 503
    assert "UF" in exchange.line.flags


def test_envoys_own_limit_answers_413(through: Callable[[str], Gateway]) -> None:
    body = call(MODERN, "crm.import", {"text": "x" * 20_000})
    exchange = through("small_buffer").post(body, None, MODERN)
    assert exchange.status == 413
    assert exchange.upstream.bytes == 0


def test_a_client_that_hangs_up_leaves_one_line(gateway: Gateway) -> None:
    with client.Connection(gateway.port) as connection:
        connection.send(b"POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        gateway.wait_for_arrival()
        connection.abort()
    assert gateway.lines(1)[0].flags == "DC"


def test_httpx_reaches_the_server(gateway: Gateway) -> None:
    answer = web.post(f"http://127.0.0.1:{gateway.port}/mcp", json=BODY)
    assert answer.json()["id"] == 1
    assert gateway.lines(1)[0].code == 200


@pytest.mark.parametrize("name", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"])
def test_an_independent_library_accepts_good_tokens(name: str) -> None:
    """Judged by an independent library."""
    signer = key(name)
    public = jwt.PyJWK(signer.jwk()).key
    decoded = jwt.decode(token(signer=signer), public, [name], audience=RESOURCE, issuer=ISSUER)
    assert decoded["realm_access"] == {"roles": ["support"]}


def test_wrong_tokens_are_all_different_and_made() -> None:
    kinds = (
        wrong_tokens.SIGNATURES | wrong_tokens.HEADERS | wrong_tokens.CLAIMS | wrong_tokens.ISSUERS
    )
    made = {name: make() for name, make in kinds.items()}
    assert len(set(made.values())) == len(made)
    assert all(make() for make in wrong_tokens.AUDIENCES.values())


@pytest.mark.parametrize("part", ["header", "payload", "signature"])
def test_non_canonical_tokens_differ_only_in_spelling(part: str) -> None:
    """A lenient decoder reads them as the same, validly signed bytes."""
    made = wrong_tokens.SIGNATURES[f"non_canonical_{part}"]().split(".")
    position = ["header", "payload", "signature"].index(part)
    text = made[position]
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b64url(data) != text and len(b64url(data)) == len(text)


def test_the_key_server_counts_and_misbehaves(issuer: Issuer, envoy: Envoy) -> None:
    issuer.paths["/harness"] = keys_answer(key("ES256"))
    url = f"http://127.0.0.1:{issuer.port}"
    assert web.get(f"{url}/harness").json()["keys"][0]["crv"] == "P-256"
    issuer.paths["/harness"] = KeyAnswer(503, b"upstream connect error", "text/plain")
    assert web.get(f"{url}/harness").status_code == 503
    assert web.get(f"{url}/nothing").status_code == 404
    assert issuer.fetches["/harness"] == 2


def test_a_token_in_a_log_is_noticed(envoy: Envoy, gateway: Gateway) -> None:
    envoy.check_no_secrets()
    leaked = token()
    saved = envoy.access_path.read_text()
    try:
        envoy.access_path.write_text(leaked)
        with pytest.raises(AssertionError, match="token was logged"):
            envoy.check_no_secrets()
    finally:
        envoy.access_path.write_text(saved)


def test_a_configuration_envoy_refuses_is_reported(directory: Path, clusters: dict[str, Cluster]) -> None:
    with pytest.raises(StartError, match="nowhere"):
        Envoy(directory, {"bad": Listener(cluster="nowhere")}, clusters)


def test_a_process_that_is_left_behind_is_found() -> None:
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, left_behind.VARIABLE: "left"})
    eventually(lambda: left_behind.marked("left"), "the process is found")
    end(left)
    left_behind.check_none("left")


def test_claims_can_be_left_out() -> None:
    assert "aud" not in claims(aud=OMIT) and "aud" in claims()
