"""JSON for a terminal: as few lines as fit, broken between members only."""

import json
from typing import Any

from rich.cells import cell_len


def laid_out(value: Any, width: int) -> list[str]:
    """The lines of one JSON document. Only a single value may be longer than `width`."""
    return block("", value, "", width)


def block(name: str, value: Any, end: str, width: int) -> list[str]:
    """A value between its name and what follows it, in one line if it fits."""
    flat = f"{name}{compact(value)}{end}"
    if cell_len(flat) <= width or not value or not isinstance(value, dict | list):
        return [flat]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    parts = members(value)
    lines = [name + opening]
    for number, (key, item) in enumerate(parts, start=1):
        last = closing + end if number == len(parts) else ","
        add(lines, key, item, last, width)
    return lines


def add(lines: list[str], name: str, value: Any, end: str, width: int) -> None:
    """Adds a member to the last line, or below it."""
    piece = f"{name}{compact(value)}{end}"
    space = "" if lines[-1].endswith(("{", "[")) else " "
    if cell_len(lines[-1] + space + piece) <= width:
        lines[-1] += space + piece
        return
    first, *rest = block(name, value, end, width - 1)
    if lines[-1] in ("{", "["):
        lines[-1] += first
    else:
        lines.append(f" {first}")
    lines += [f" {line}" for line in rest]


def members(value: dict[str, Any] | list[Any]) -> list[tuple[str, Any]]:
    """Names and values; the items of a list have no name."""
    if isinstance(value, dict):
        return [(f"{compact(key)}: ", item) for key, item in value.items()]
    return [("", item) for item in value]


def compact(value: Any) -> str:
    """A value in one line."""
    return json.dumps(value, ensure_ascii=False)
