"""Outcomes without what differs from run to run: ids and times."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

# A handle of the server's, which the filter seals, is another one in every run.
HANDLES = {"taskId"}
# The filter sets these of lists and resources (`max_list_ttl`).
CACHE = {"ttlMs", "cacheScope"}

BASE64 = re.compile(r"[A-Za-z0-9+/]{20,}={0,2}")

VARYING = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    # JavaScript's `Date` as text, and as a time of the day.
    (re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4}( \([^)]*\))?"), "<time>"),
    (re.compile(r"\d{1,2}:\d\d:\d\d [AP]M"), "<time>"),
]


def normal(value: Any) -> Any:
    """The value with a fixed text in place of each id and time."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in CACHE}
        return {name: "<handle>" if name in HANDLES else normal(each) for name, each in kept.items()}
    if isinstance(value, list):
        return [normal(each) for each in value]
    if isinstance(value, str):
        return _normal_text(decoded(value) or value)
    return value


def decoded(text: str) -> str | None:
    """What a base64 text says, if it is a text."""
    if not BASE64.fullmatch(text):
        return None
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def everything_said(wire: list[str]) -> str:
    """Everything a server sent, also what it said in base64."""
    said = "\n".join(wire)
    hidden = (decoded(each) for each in BASE64.findall(said))
    return "\n".join([said, *(each for each in hidden if each is not None)])


def _normal_text(text: str) -> str:
    for pattern, fixed in VARYING:
        text = pattern.sub(fixed, text)
    return text
