"""Before anything is timed: every listener does what it is there for."""

from benches.envoy import messages
from benches.envoy.listeners import ANSWER, RECEIVED_BYTES, RECEIVED_USER
from benches.envoy.load import Answer, Client

TWICE = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","name":"%s"}}' % (
    messages.FORBIDDEN.encode(),
    messages.ALLOWED.encode(),
)


def passes(listener: str, client: Client, body: bytes, bearer: str) -> None:
    """A call of the allowed tool reaches the server as it is, or with the caller's user id."""
    answer = client.once(messages.request(body, bearer))
    size = len(body)
    if listener == "ours" and messages.CLAIMED.encode() in body:
        size += len(messages.USER) - len(messages.CLAIMED)
    user = {"ours": messages.USER, "same-calls": "user-1"}.get(listener)
    seen = (answer.status, answer.body, answer.headers.get(RECEIVED_BYTES))
    _require(listener, answer, seen == (200, ANSWER, str(size)))
    _require(listener, answer, answer.headers.get(RECEIVED_USER) == user)


def refuses(listener: str, port: int, bearer: str) -> None:
    """Another tool, no token, a broken token, and a key written twice do not reach the server."""
    size = 524
    allowed = messages.call(size)
    broken = bearer[:-8] + "AAAAAAAA"
    for status, body, sent in [
        (None, messages.call(size, messages.FORBIDDEN), bearer),
        (401, allowed, None),
        (401, allowed, broken),
        (None, TWICE, bearer),
    ]:
        # A refused request may cost its connection.
        with Client(port, connections=1) as client:
            answer = client.once(messages.request(body, sent))
        refused = RECEIVED_BYTES not in answer.headers and answer.body != ANSWER
        _require(listener, answer, refused and status in (None, answer.status))


def _require(listener: str, answer: Answer, holds: bool) -> None:
    if not holds:
        raise SystemExit(f"listener `{listener}` does not do its job: {answer}")
