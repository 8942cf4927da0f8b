"""How the demo looks in a terminal."""

import json
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from demo.evidence import Decision
from demo.layout import laid_out

WIDTH = 100
LABEL_WIDTH = 13
# The columns of a comparison: the rows' names, and the borders around three cells.
NAME_WIDTH = 10
BORDERS = 10
# An answer's lines in a comparison.
ANSWER_LINES = 10
GOOD, BAD = "bold green", "bold red"
VERDICTS = {"stopped": GOOD, "ok": GOOD, "LEAKED": BAD, "ERASED": BAD, "CLOSED": BAD, "FAILED": BAD}


class Screen:
    """Prints the story: at most 100 columns, without colour where it is not a terminal."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        width = min(WIDTH, Console().width) if terminal else WIDTH
        self._console = Console(width=width, highlight=False, soft_wrap=False)
        self._cell_width = (width - NAME_WIDTH - BORDERS) // 2

    def title(self, text: str) -> None:
        """Begins a scene."""
        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left"))

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self._console.print(text)

    def lines(self, label: str, texts: Iterable[str]) -> None:
        """Texts beside a label."""
        width = self._console.width - LABEL_WIDTH
        for text in texts:
            for line in Text(text).wrap(self._console, width, overflow="fold"):
                line.rstrip()
                self._console.print(Text(label.ljust(LABEL_WIDTH), style="dim"), line, sep="")
                label = ""

    def json(self, label: str, text: str, *, before: str = "") -> None:
        """JSON beside a label, after what may stand before it."""
        self.lines(label, document(text, self._console.width - LABEL_WIDTH, before))

    def attempt(self, number: int, title: str) -> None:
        """The heading of an attack."""
        self._console.print()
        self._console.print(f"[bold]{number}. The model tries: {escape(title)}[/bold]")

    def side_by_side(self, rows: list[tuple[str, str, str]], showing: str) -> None:
        """The two ways to the server, compared; the place that matters stays in view."""
        table = Table(show_lines=True, expand=True)
        table.add_column("", width=NAME_WIDTH)
        table.add_column("straight to the server", ratio=1, overflow="fold")
        table.add_column("through Envoy with the filter", ratio=1, overflow="fold")
        for label, *cells in rows:
            table.add_row(label, *[self._cell(cell, showing) for cell in cells])
        self._console.print(table)

    def decision(self, decision: Decision | None) -> None:
        """What the filter decided and why, and its line in the access log."""
        if decision is None:
            self._console.print("[red]no decision in the access log[/red]")
            return
        record = decision.record
        self.lines("decision", [f"{record.get('decision')}: {record.get('reason')}"])
        self.lines("evidence", [evidence_line(item) for item in record.get("evidence", [])])
        self.lines("answer", answer_changes(record))
        if record.get("next_action"):
            self.lines("next action", [str(record["next_action"])])
        before, brace, text = decision.line.partition("{")
        self.lines("access log", [before])
        self.json("", brace + text)

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """A plain table."""
        table = Table()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*[verdict(cell) for cell in row])
        self._console.print(table)

    def _cell(self, text: str, showing: str) -> Text:
        lines = document(text, self._cell_width)
        return verdict("\n".join(clipped(lines, showing)))


def verdict(text: str) -> Text:
    """The text, coloured if it says how something ended."""
    return Text(text, style=VERDICTS.get(text.partition(":")[0], ""), overflow="fold")


def evidence_line(item: object) -> str:
    """One piece of evidence: where it is from and what it says."""
    if isinstance(item, dict):
        return f"{item.get('source')}: {item.get('summary')}"
    return str(item)


def answer_changes(record: dict[str, Any]) -> list[str]:
    """What the filter took out of the answer."""
    dropped, hidden = record.get("dropped_items"), record.get("redacted")
    changes = [f"taken out: {dropped}"] if dropped else []
    return [*changes, f"hidden: {', '.join(hidden)}"] if hidden else changes


def document(text: str, width: int, before: str = "") -> list[str]:
    """The lines of a text that may be JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return [before + readable(text)]
    head, *rest = laid_out(value, width - len(before))
    return [readable(line) for line in (before + head, *rest)]


def readable(text: str) -> str:
    """The text with its invisible characters written out."""
    return "".join(c if unicodedata.category(c) != "Cf" else f"\\u{ord(c):04x}" for c in text)


def data_in(text: str) -> str:
    """What an answer says: the data rather than its copy as text."""
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        return text
    data = answer.get("structuredContent") or answer.get("contents") or answer.get("messages")
    if data is None:
        data = [block.get("text") for block in answer.get("content", [])]
    return json.dumps(data, ensure_ascii=False)


def clipped(lines: list[str], showing: str) -> list[str]:
    """As many lines as fit the table: the first ones, and the place that matters."""
    if len(lines) <= ANSWER_LINES:
        return lines
    place = next((n for n, line in enumerate(lines) if showing in line), 0)
    if place < ANSWER_LINES:
        return [*lines[:ANSWER_LINES], "..."]
    around = lines[place - 2 : place + 2]
    return [*lines[: ANSWER_LINES - len(around)], "...", *around]
