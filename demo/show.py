"""How the demo looks in a terminal."""

import json
import sys
import unicodedata
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from demo.evidence import Decision

WIDTH = 100
ANSWER_LIMIT = 260


class Screen:
    """Prints the story: at most 100 columns, without colour where it is not a terminal."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        width = min(WIDTH, Console().width) if terminal else WIDTH
        self._console = Console(width=width, highlight=False, soft_wrap=False)

    def title(self, text: str) -> None:
        """Begins a scene."""
        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left"))

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self._console.print(text)

    def lines(self, label: str, texts: Iterable[str]) -> None:
        """A label with indented lines under it."""
        self._console.print(Text(label, style="dim"))
        for text in texts:
            wrapped = Text(text).wrap(self._console, self._console.width - 2, overflow="fold")
            for line in wrapped:
                line.rstrip()
                self._console.print(Text("  ") + line)

    def attempt(self, number: int, title: str) -> None:
        """The heading of an attack."""
        self._console.print()
        self._console.print(f"[bold]{number}. The model tries: {escape(title)}[/bold]")

    def side_by_side(self, rows: list[tuple[str, str, str]]) -> None:
        """The two ways to the server, compared."""
        table = Table(show_lines=True, expand=True)
        table.add_column("", width=10)
        table.add_column("straight to the server", ratio=1, overflow="fold")
        table.add_column("through Envoy with the filter", ratio=1, overflow="fold")
        for label, direct, guarded in rows:
            table.add_row(label, verdict(direct), verdict(guarded))
        self._console.print(table)

    def decision(self, decision: Decision | None) -> None:
        """What the filter decided and why, and its line in the access log."""
        if decision is None:
            self._console.print("[red]no decision in the access log[/red]")
            return
        record = decision.record
        reason = f"{record.get('decision')}: {record.get('reason')}"
        self.lines("decision", [reason])
        self.lines("evidence", [evidence_line(item) for item in record.get("evidence", [])])
        if record.get("next_action"):
            self.lines("next action", [str(record["next_action"])])
        self.lines("access log", [decision.line])

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """A plain table."""
        table = Table()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*[verdict(cell) for cell in row])
        self._console.print(table)


def verdict(text: str) -> Text:
    """The text, coloured if it says how something ended."""
    styles = {"LEAKED": "bold red", "stopped": "bold green", "failed": "bold red", "ok": "green"}
    return Text(text, style=styles.get(text, ""), overflow="fold")


def evidence_line(item: object) -> str:
    """One piece of evidence: where it is from and what it says."""
    if isinstance(item, dict):
        return f"{item.get('source')}: {item.get('summary')}"
    return str(item)


def readable(text: str) -> str:
    """The text with its invisible characters written out."""
    return "".join(c if unicodedata.category(c) != "Cf" else f"\\u{ord(c):04x}" for c in text)


def short(text: str, *, showing: str = "") -> str:
    """A part of an answer, in one line: the data rather than its copy as text."""
    try:
        answer = json.loads(text)
    except ValueError:
        return clipped(text, showing)
    data = answer.get("structuredContent") or answer.get("contents") or answer.get("messages")
    if data is None:
        data = [block.get("text") for block in answer.get("content", [])]
    return clipped(json.dumps(data, ensure_ascii=False), showing)


def clipped(text: str, showing: str) -> str:
    """As much of a text as fits the table: its beginning, and the place that matters."""
    if len(text) <= ANSWER_LIMIT:
        return text
    place = text.find(showing)
    if place + len(showing) <= ANSWER_LIMIT:
        return f"{text[:ANSWER_LIMIT]} ..."
    half = ANSWER_LIMIT // 2
    return f"{text[:half]} ... {text[place - half // 2 : place + half // 2]} ..."
