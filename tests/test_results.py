"""Rules for results: items of other owners are removed, fields and values are hidden."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import tokens
from .harness.answers import encoded, json_answer, result
from .harness.envoy_config import Listener
from .harness.gateway import Through
from .harness.messages import LEGACY, message
from .harness.results import (
    HIDES,
    HIDES_IN_TEXTS,
    OTHERS,
    SSN,
    ask,
    content,
    foreign,
    hides,
    judged,
    not_the_callers,
    own,
    owned,
    rule,
    structured,
    texts,
)
from .harness.variants import CLIENTS, ERAS, STYLES

# What the filter's key of hashes comes from; the VM has it.
AUDIT = {"key_env": "MCP_AUTH_KEY"}

LISTENERS = {
    "owned": Listener(judged(owned(totals=["total", "page.count"]))),
    "refusing": Listener(judged(owned(otherwise="refuse"))),
    "keeping": Listener(judged(owned(missing="keep"))),
    "dropping": Listener(judged(owned(missing="drop"))),
    "of_users": Listener(judged(rule(owner={"field": "owner.id", "is": "user"}))),
    "owned_texts": Listener(judged({**owned(), "text": "keep"})),
    "mask": Listener(judged(HIDES)),
    "remove": Listener(judged({**HIDES, "with": "remove"})),
    "hash": Listener(judged({**HIDES, "with": "hash"}, audit=AUDIT)),
    "last4": Listener(judged({**HIDES, "with": "last4"})),
    "texts": Listener(judged(HIDES_IN_TEXTS)),
    "detects": Listener(judged(rule(detect=["email", "card", "secret"]))),
    "both": Listener(judged({**owned(), **HIDES})),
    "not_for_managers": Listener(judged({**owned(), "redact": ["ssn"], "unless_role": ["manager"]})),
    "other_tools": Listener(judged({"tools": ["crm.search_*"], "prompts": ["*"], "redact": ["ssn"]})),
}


@CLIENTS
@ERAS
@STYLES
def test_customers_of_others_are_taken_out_of_lists(through: Through, style: str, era: str, http2: bool) -> None:
    lists = {
        "customers": [foreign(), own(id=1), foreign(), own(id=2), foreign()],
        "by_region": {"north": [[own(id=3)], [foreign()]], "south": [foreign()]},
        "total": 8,
        "next": "c-1",
    }
    exchange = ask(through("owned"), structured(lists), style, era, http2=http2)
    left = {
        "customers": [own(id=1), own(id=2)],
        "by_region": {"north": [[own(id=3)], []], "south": []},
        "total": 3,
        "next": "c-1",
    }
    assert content(exchange) == (left, left)
    hides(exchange)
    assert exchange.record["dropped_items"] == 5
    exchange.forwarded()


ALONE = [
    foreign(),
    {"customer": foreign()},
    {"name": OTHERS},
    [{"name": OTHERS}],
    [own(), {"name": OTHERS}],
    [own(), [{"name": OTHERS}]],
    own(partner=foreign()),
    {"organization_id": None, "name": OTHERS},
    {"organization_id": [tokens.ORGANIZATION, "org-b"], "name": OTHERS},
    {"organization_id": {"id": tokens.ORGANIZATION}, "name": OTHERS},
    {"organization_id": tokens.ORGANIZATION.upper(), "name": OTHERS},
    {"organization_id": f" {tokens.ORGANIZATION}", "name": OTHERS},
    {"organization_id": tokens.ORGANIZATION, "OrganizationId": "org-b", "name": OTHERS},
    [OTHERS],
]


@ERAS
@STYLES
@pytest.mark.parametrize("alone", ALONE, ids=range(len(ALONE)))
def test_a_result_of_another_owner_is_refused(through: Through, alone: Any, style: str, era: str) -> None:
    not_the_callers(ask(through("owned"), structured(alone), style, era))


@pytest.mark.parametrize("spelling", ["organization_id", "organizationId", "ORGANIZATION-ID", "Organization Id", "organization\u200b_id", "\uff4frganization_id"])
def test_owners_are_found_in_any_spelling(through: Through, spelling: str) -> None:
    lists = [{spelling: tokens.ORGANIZATION, "n": 1}, {spelling: "org-b", "name": OTHERS}]
    exchange = ask(through("owned"), structured(lists))
    assert content(exchange) == (lists[:1], lists[:1])
    hides(exchange)


def test_a_rule_decides_about_items_without_an_owner(through: Through) -> None:
    nobodys = {"id": 7}
    for listener, lists, left in (
        ("keeping", [own(), foreign(), nobodys], [own(), nobodys]),
        ("dropping", [own(), foreign(), nobodys], [own()]),
        ("owned", {"hits": [], "next": None}, {"hits": [], "next": None}),
        ("of_users", [{"owner": {"id": tokens.USER}}, {"ownerId": "user-bob"}], [{"owner": {"id": tokens.USER}}]),
    ):
        exchange = ask(through(listener), structured(lists))
        assert content(exchange) == (left, left)
        hides(exchange)
    not_the_callers(ask(through("refusing"), structured([own(), foreign()])))
    assert ask(through("refusing"), structured([own()])).forwarded()


def test_a_caller_without_an_organization_owns_nothing(through: Through) -> None:
    token = tokens.support(org_id=tokens.OMIT)
    lists = [foreign(), {"organization_id": None}, {"organization_id": ""}]
    exchange = ask(through("owned"), structured(lists), token=token)
    assert content(exchange) == ([], [])


def test_totals_count_the_list_they_stand_beside(through: Through) -> None:
    """What is taken out further inside is not what they count."""
    lists = {"total": 2, "customers": [own(lines=[foreign(), {"n": 1}]), own()]}
    left = {"total": 2, "customers": [own(lines=[{"n": 1}]), own()]}
    assert content(ask(through("owned"), structured(lists))) == (left, left)


def test_totals_may_stand_in_an_object_of_their_own(through: Through) -> None:
    lists = {"page": {"count": 2, "size": 50}, "customers": [own(), foreign()]}
    left = {"page": {"count": 1, "size": 50}, "customers": [own()]}
    assert content(ask(through("owned"), structured(lists))) == (left, left)


FIELDS: dict[str, Any] = {
    "mask": {
        "ssn": "***",
        "S-S-N": 0,
        "card": {"number": "***", "type": "visa"},
        "deep": [{"ssn": {"a": ["***", False, None]}}],
    },
    "last4": {
        "ssn": "***6789",
        "S-S-N": 0,
        "card": {"number": "***1111", "type": "visa"},
        "deep": [{"ssn": {"a": ["***", False, None]}}],
    },
    "remove": {"card": {"type": "visa"}, "deep": [{}]},
}


@ERAS
@STYLES
@pytest.mark.parametrize("listener", FIELDS)
def b33_fields_are_hidden_as_the_rule_states(through: Through, listener: str, style: str, era: str) -> None:
    customer = {
        "ssn": SSN,
        "S-S-N": 123456789,
        "card": {"number": "4111111111111111", "type": "visa"},
        "deep": [{"ssn": {"a": ["short", True, None]}}],
    }
    exchange = ask(through(listener), structured(customer), style, era)
    assert content(exchange) == (FIELDS[listener],) * 2
    hides(exchange, SSN, "4111111111111111", "123456789", "short")
    assert sorted(exchange.record["redacted"]) == ["card.number", "ssn"]
    exchange.forwarded()


def b33_hashes_are_equal_for_equal_values_only(through: Through) -> None:
    customers = [{"ssn": SSN}, {"ssn": SSN}, {"ssn": "987-65-4321"}]
    exchange = ask(through("hash"), structured(customers))
    (first, second, third), copy = content(exchange)
    assert copy == [first, second, third]
    assert first == second != third
    assert len(first["ssn"]) >= 16
    hides(exchange, SSN, "987-65-4321")


SPELLINGS = ["ssn", "SSN", "s_s_n", "s.s.n", "S-S N", "\uff53sn", "s\u200bsn", "\u017fsn", "com.example/ssn", "customer.ssn"]


@pytest.mark.parametrize("key", SPELLINGS)
def b33_fields_are_found_in_any_spelling(through: Through, key: str) -> None:
    exchange = ask(through("mask"), structured({"list": [{key: SSN, "n": 1}]}))
    assert content(exchange) == ({"list": [{key: "***", "n": 1}]},) * 2
    hides(exchange)


@pytest.mark.parametrize("escaped", [b'{"s\\u0073n":"%s"}', b'{"ssn":"\\u0031%s"}', b'{"\\u0073\\u0073\\u006e" : "%s"}'])
def b33_escaped_fields_are_found(through: Through, escaped: bytes) -> None:
    value = SSN[1:] if b"u0031" in escaped else SSN
    body = b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":%s}}' % (escaped % value.encode())
    exchange = ask(through("mask"), json_answer(body))
    hides(exchange, SSN, SSN[1:])
    assert exchange.response.json["result"]["structuredContent"] == {"ssn": "***"}


DETECTED = {
    "email": ("write to ann.b+c@acme.co.uk, please", "write to ***, please"),
    "card": ("card 4111 1111 1111 1111, ok", "card ***, ok"),
    "card_without_spaces": ("4111111111111111.", "***."),
    "not_a_card": ("order 4111111111111112", "order 4111111111111112"),
    "key": ("use sk_live_abcdefghijkl now", "use *** now"),
    "token": ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.abc", "***"),
}


@STYLES
@pytest.mark.parametrize(("text", "left"), DETECTED.values(), ids=DETECTED)
def b33_values_are_found_by_their_form(through: Through, text: str, left: str, style: str) -> None:
    exchange = ask(through("detects"), structured({"note": text, "list": [{"n": [text]}]}), style)
    after = {"note": left, "list": [{"n": [left]}]}
    assert content(exchange) == (after, after)
    assert ask(through("detects"), texts(text), style).response.rpc() == texts(left)


CARDS = ["4111111111111111 12/28", "4111 1111 1111 1111 737", "1 4111111111111111", "2026-11-22 4111111111111111", "4111111111111111\t5500000000000004"]


@pytest.mark.parametrize("text", CARDS)
def b33_a_card_is_found_among_other_numbers(through: Through, text: str) -> None:
    exchange = ask(through("detects"), texts(text))
    hides(exchange, "4111111111111111", "4111 1111 1111 1111", "5500000000000004")


@pytest.mark.parametrize("data", [{"pan": 4111111111111111}, {"by": {"ann@acme.example": 1}}], ids=["number", "key"])
def b33_values_are_found_where_they_are_no_text(through: Through, data: Any) -> None:
    hides(ask(through("detects"), structured(data)), "4111111111111111", "ann@acme.example")


def b33_owners_and_fields_in_one_rule(through: Through) -> None:
    exchange = ask(through("both"), structured([own(ssn=SSN), foreign(ssn="987-65-4321")]))
    assert content(exchange) == ([own(ssn="***")],) * 2
    hides(exchange, SSN, OTHERS, "987-65-4321")
    assert (exchange.record["dropped_items"], exchange.record["redacted"]) == (1, ["ssn"])


def b33_a_text_without_fields_is_withheld_or_kept_as_the_rule_states(through: Through) -> None:
    assert ask(through("mask"), texts(f"It is {SSN}", "")).response.json == texts("[withheld]", "")
    assert ask(through("owned"), texts(f"About {OTHERS}")).response.json == texts("[withheld]")
    assert ask(through("texts"), texts("Nothing of it")).response.json == texts("Nothing of it")
    assert ask(through("detects"), texts("Nothing of it")).response.json == texts("Nothing of it")


def test_a_role_sees_everything(through: Through) -> None:
    lists = structured([own(ssn=SSN), foreign()])
    gateway = through("not_for_managers")
    exchange = ask(gateway, lists, token=tokens.manager())
    assert exchange.response.body == encoded(lists)
    assert "dropped_items" not in exchange.record and "redacted" not in exchange.record
    hides(ask(gateway, lists))


def test_results_without_a_rule_are_unchanged(through: Through) -> None:
    said = structured({"ssn": SSN, "n": 1.0})
    exchange = ask(through("other_tools"), said)
    assert exchange.forwarded() and exchange.response.body == encoded(said)
    gateway = through("other_tools")
    gateway.upstream.answer = json_answer(result({"messages": [{"role": "user", "content": {"type": "text", "text": SSN}}]}))
    hides(gateway.post(message(LEGACY, "prompts/get", {"name": "customer_summary"}), tokens.support()))


@pytest.mark.parametrize("listener", ["mask", "both"])
def b34_values_that_stay_are_byte_for_byte_equal(through: Through, listener: str) -> None:
    body = (
        b'{ "jsonrpc" : "2.0","id":1, "result":{"structuredContent": {"organization_id":"org-a","n": 1.50 ,"big":9223372036854775809,'
        b'"e":-1E+2,"none":[ ],"no":{ },"off" : false,"nil":null,"u":"\\u00e9\\/ \xc3\xa9","ssn" : "%s"}}}'
    )
    gateway = through(listener)
    exchange = ask(gateway, json_answer(body % SSN.encode()))
    assert exchange.response.body == body % b"***"
    unruled = (body % SSN.encode()).replace(b"ssn", b"sum")
    assert ask(gateway, json_answer(unruled)).response.body == unruled


def b34_the_text_of_a_result_stays_json(through: Through) -> None:
    """A hidden number that stands in another field too is one there."""
    exchange = ask(through("mask"), structured({"ssn": 471112, "room": 471112, "type": "x"}))
    after, copy = content(exchange)
    assert copy == after
    exchange = ask(through("mask"), structured({"ssn": "status", "status": "open"}))
    after, copy = content(exchange)
    assert copy == after == {"ssn": "***", "status": "open"}
