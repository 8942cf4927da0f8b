"""A hidden value is hidden where another text repeats it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .harness.answers import result
from .harness.blocks import base64_of, block, link, resource
from .harness.gateway import Through
from .harness.results import (
    HIDING,
    OTHERS,
    RULED,
    SSN,
    ask,
    content,
    foreign,
    hides,
    own,
    structured,
)
from .harness.variants import STYLES

LISTENERS = RULED

# The same value once more, in a place that has no fields.
REPEATED: dict[str, Any] = {
    "text": {"content": [block(f"It is {SSN}.")]},
    "other_field": {"content": [], "structuredContent": {"ssn": SSN, "note": f"once {SSN}, now none"}},
    "key": {"content": [], "structuredContent": {"ssn": SSN, "by_number": {SSN: 1}}},
    "text_of_json": {"content": [block(json.dumps({"note": SSN}))]},
    "link_uri": {"content": [link(uri=f"crm://customers/{SSN}")]},
    "link_name": {"content": [link(name=SSN, title=SSN, description=f"Of {SSN}")]},
    "resource_uri": {"content": [{"type": "resource", "resource": {"uri": f"crm://customers/{SSN}", "text": "{}"}}]},
    "resource_text": {"content": [resource(text=f"It is {SSN}")]},
    "resource_blob": {"content": [resource(blob=base64_of(f"It is {SSN}"))]},
    "annotations": {"content": [{**block("{}"), "annotations": {"of": SSN}}]},
    "meta": {"content": [], "_meta": {"trace": f"read {SSN}"}},
    "status_message": {"content": [], "statusMessage": f"read {SSN}"},
}


@HIDING
@STYLES
@pytest.mark.parametrize("place", REPEATED)
def b33_a_hidden_value_is_not_repeated_elsewhere(through: Through, place: str, style: str, listener: str) -> None:
    said = result({"structuredContent": {"ssn": SSN}, **REPEATED[place]})
    hides(ask(through(listener), said, style))


@HIDING
@pytest.mark.parametrize("place", ["structured", "text"])
def b33_a_value_written_with_escapes_is_not_repeated_either(through: Through, place: str, listener: str) -> None:
    """Many libraries write JSON in ASCII, and quotes have to be escaped."""
    for value in ("Jos\u00e9 Garc\u00eda", 'Ann "Red" Acker', "C:\\Ann", "a/b\nc"):
        data = {"ssn": value, "note": f"of {value}!"}
        exchange = ask(through(listener), structured(data))
        seen = content(exchange)[0 if place == "structured" else 1]
        assert seen == {"ssn": "***", "note": "of ***!"}


def b33_a_removed_name_is_not_repeated_elsewhere(through: Through) -> None:
    listed = [own(), foreign(city="Raccoon City")]
    said = result({
        "structuredContent": listed,
        "content": [block(json.dumps(listed)), block(f"Acme and {OTHERS}, Raccoon City"), link(name=OTHERS)],
    })
    exchange = ask(through("owned_in_texts"), said)
    hides(exchange, OTHERS, "Raccoon")
    assert exchange.response.json["result"]["content"][1]["text"].startswith("Acme and ")


@pytest.mark.parametrize("number", [100, 600, 2000])
def b33_many_values_are_looked_for(through: Through, number: int) -> None:
    numbers = [f"{each:04}-45-6789" for each in range(number)]
    said = result({"structuredContent": [{"ssn": each} for each in numbers], "content": [block("\n".join(numbers))]})
    exchange = ask(through("hides_in_texts"), said)
    assert exchange.response.body.count(b"-45-6789") == 0
