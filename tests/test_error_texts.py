"""Error texts of servers do not name tools that are hidden from the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .harness import tokens
from .harness.answers import answer, encoded, json_answer, presents, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, begins, call
from .harness.policy import policy
from .harness.results import texts
from .harness.upstream import Upstream
from .harness.variants import ERAS, STYLES

TOOL = "crm.get_customer"
HIDDEN = "crm.purge"

LISTENERS = {
    "names": Listener(policy()),
    "withheld": Listener(policy(errors="withhold", max_response="2KiB")),
    "kept": Listener(policy(errors="keep")),
}


def failed(message: str, **more: Any) -> dict[str, Any]:
    """A JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": message, **more}}


def said(word: str) -> list[dict[str, Any]]:
    """Errors of a server that says this."""
    return [
        failed(f"Unknown tool {TOOL}, did you mean {word}?", data={"known": [TOOL, word]}),
        texts(f"Cannot do that. Use {word}.", isError=True),
        texts(f'{{"hint": ["{word}"]}}', isError=True, structuredContent={"hint": [word]}),
    ]


def ask(gateway: Gateway, upstream: Upstream, message: Any, style: str, era: str) -> Exchange:
    """What comes of a call that the server answers with this."""
    upstream.answer = answer(message, style)
    exchange = gateway.post(call(era, TOOL), tokens.support(), era)
    assert exchange.response.complete
    return exchange


@ERAS
@STYLES
def b37_errors_name_no_tool_that_the_caller_may_not_call(
    through: Callable[[str], Gateway], upstream: Upstream, era: str, style: str
) -> None:
    for message, expected in zip(said(HIDDEN), said("***"), strict=True):
        exchange = ask(through("names"), upstream, message, style, era)
        assert exchange.response.rpc() == expected
        assert exchange.record["hidden_names"] == str(encoded(message)).count(HIDDEN)
        assert HIDDEN not in str(exchange.record)
        assert exchange.record["decision"] == "approved"


@STYLES
def b37_a_name_is_hidden_from_who_may_not_call_it(
    through: Callable[[str], Gateway], upstream: Upstream, style: str
) -> None:
    upstream.answer = answer(failed("Use crm.export or crm.purge"), style)
    exchange = through("names").post(call(LEGACY, TOOL), tokens.manager(), LEGACY)
    assert exchange.response.rpc()["error"]["message"] == "Use crm.export or ***"


@ERAS
@STYLES
def b37_withheld_errors_say_only_what_kind_they_are(
    through: Callable[[str], Gateway], upstream: Upstream, era: str, style: str
) -> None:
    for message in said("hr.unknown"):
        exchange = ask(through("withheld"), upstream, message, style, era)
        assert b"hr.unknown" not in exchange.response.body
        assert exchange.record["withheld_errors"] == 1
        received = exchange.response.rpc()
        if "error" in message:
            assert received["error"] == {"code": -32602, "message": "Invalid params"}
        else:
            assert received["result"]["isError"] is True


def b37_withheld_errors_do_not_pass_because_they_are_long(
    through: Callable[[str], Gateway], upstream: Upstream
) -> None:
    long = texts(HIDDEN + " " * 4000, isError=True)
    exchange = ask(through("withheld"), upstream, long, "json", LEGACY)
    assert exchange.status == 200
    assert exchange.record["reason"] == "upstream_answer_too_large"


@ERAS
@STYLES
def test_other_answers_stay_byte_for_byte(
    through: Callable[[str], Gateway], upstream: Upstream, era: str, style: str
) -> None:
    allowed = texts(f"Use {TOOL}, getting crm.search_x", isError=True)
    plain = result({"content": [{"type": "text", "text": f"error: {HIDDEN}"}], "isError": False})
    for listener, messages in (("names", [allowed, plain]), ("withheld", [plain]), ("kept", said(HIDDEN))):
        for message in messages:
            exchange = ask(through(listener), upstream, message, style, era)
            assert encoded(message) in exchange.response.body
            assert "hidden_names" not in exchange.record


@ERAS
@STYLES
def b37_instructions_name_no_tool_that_the_caller_may_not_call(
    through: Callable[[str], Gateway], upstream: Upstream, era: str, style: str
) -> None:
    upstream.answer = answer(presents(era, instructions=f"First {TOOL}, then {HIDDEN}."), style)
    exchange = through("names").post(begins(era), tokens.support(), era)
    received = exchange.response.rpc()["result"]
    assert received["instructions"] == f"First {TOOL}, then ***."
    # It is this caller's now.
    assert received.get("cacheScope") == ("private" if era == MODERN else None)


def test_an_error_in_words_passes_with_its_status(through: Callable[[str], Gateway], upstream: Upstream) -> None:
    upstream.answer = json_answer(b"no such page", 404, "text/plain")
    exchange = through("names").post(call(LEGACY, TOOL), tokens.support(), LEGACY)
    assert (exchange.status, exchange.response.body) == (404, b"no such page")
