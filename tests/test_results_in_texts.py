"""Rules for results apply to data in texts: JSON for lenient parsers, base64, structured content."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from .harness.answers import result
from .harness.gateway import Through
from .harness.results import (
    HIDING,
    OWNING,
    RULED,
    SSN,
    ask,
    content,
    foreign,
    hides,
    own,
    structured,
    texts,
)

LISTENERS = RULED

# JSON that a lenient reader understands, and a strict one does not.
LENIENT = {
    "number_that_is_none": json.dumps({"ssn": SSN, "score": float("nan")}),
    "key_twice": f'{{"ssn": "x", "ssn": "{SSN}"}}',
    "comma_at_the_end": f'{{"ssn": "{SSN}",}}',
    "comment": f'{{/* it */ "ssn": "{SSN}"}}',
    "lone_surrogate": f'{{"ssn": "{SSN}", "x": "\\ud83d"}}',
    "control_character": f'{{"ssn": "{SSN}", "x": "a\tb"}}',
    "byte_order_mark": f'\ufeff{{"ssn": "{SSN}"}}',
    "one_a_line": f'{{"ssn": "{SSN}"}}\n{{"ssn": "{SSN}"}}',
    "quoted_once_more": json.dumps(json.dumps({"ssn": SSN})),
    "too_deep": "[" * 70 + f'{{"ssn": "{SSN}"}}' + "]" * 70,
}


@HIDING
@pytest.mark.parametrize("text", LENIENT.values(), ids=LENIENT)
def b33_a_text_that_lenient_parsers_read_as_json_is_inspected(through: Through, text: str, listener: str) -> None:
    hides(ask(through(listener), texts(text)))


@HIDING
@pytest.mark.parametrize("text", LENIENT.values(), ids=LENIENT)
def b33_such_a_text_in_structured_content_is_inspected(through: Through, text: str, listener: str) -> None:
    """Tools that return a text have it there, as `result`, where the SDK for Python makes it."""
    hides(ask(through(listener), result({"content": [], "structuredContent": {"result": text}})))


@OWNING
@pytest.mark.parametrize("around", [{}, own()], ids=["alone", "inside_the_callers_own"])
def b33_customers_in_a_text_of_structured_content(through: Through, around: Any, listener: str) -> None:
    text = json.dumps([own(), foreign()])
    hides(ask(through(listener), structured({**around, "result": text})))


def b33_own_customers_in_a_text_of_structured_content_are_passed(through: Through) -> None:
    """So a tool that returns a text of JSON can be used at all."""
    said = structured({"result": json.dumps([own(id=1), foreign(), own(id=2)])})
    exchange = ask(through("owned"), said)
    after, _ = content(exchange)
    assert json.loads(after["result"]) == [own(id=1), own(id=2)]


def b33_a_field_path_can_lead_into_json_in_a_text(through: Through) -> None:
    """As databases keep JSON in a column."""
    said = structured({"card": json.dumps({"number": SSN, "type": "visa"})})
    exchange = ask(through("hides"), said)
    hides(exchange)
    after, _ = content(exchange)
    assert json.loads(after["card"]) == {"number": "***", "type": "visa"}


BASE64 = {
    "with_line_ends": lambda data: base64.encodebytes(data * 3).decode(),
    "without_padding": lambda data: base64.b64encode(data).decode().rstrip("="),
    "url_safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "with_spaces": lambda data: f" {base64.b64encode(data).decode()}\n",
}


@HIDING
@pytest.mark.parametrize("way", BASE64)
def b33_base64_in_any_form(through: Through, way: str, listener: str) -> None:
    packed = BASE64[way](json.dumps({"x": "?>~\u00ff", "y": "??", "ssn": SSN}, ensure_ascii=False).encode())
    hides(ask(through(listener), result({"contents": [{"uri": "x", "blob": packed}]})))
