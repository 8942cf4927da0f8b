"""The documents, and what stands in them: links, headings, blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .envoy import ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

BLOCK = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    document: str
    line: int
    # The words behind the first three backticks: the language, and then how the block is meant.
    words: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """Where it is."""
        return f"{self.document}:{self.line}"


def name(document: Path) -> str:
    """The path of a document in the repository."""
    return str(document.relative_to(ROOT))


def blocks(document: Path) -> list[Block]:
    """The blocks of a document, without the indentation of lists that they stand in."""
    text = document.read_text()
    found = []
    for match in BLOCK.finditer(text):
        indent = len(match[0]) - len(match[0].lstrip(" "))
        lines = [line[indent:] for line in match[2].splitlines(keepends=True)]
        words = tuple(word for word in re.split(r"[,\s]+", match[1]) if word)
        found.append(Block(name(document), text.count("\n", 0, match.start()) + 1, words, "".join(lines)))
    return found


def every_block() -> list[Block]:
    """The blocks of all documents."""
    return [block for document in DOCUMENTS for block in blocks(document)]


def prose(document: Path) -> str:
    """A document without its blocks."""
    return BLOCK.sub("", document.read_text())


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and mdBook make them."""
    found = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


def commands(block: Block) -> list[str]:
    """The command lines of `mcp-auth` in a block, without comments, variables before them, and redirections."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    found = re.findall(r"(?:^|[;&|(]|&& )\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(mcp-auth [a-z][^\n]*)", joined, re.MULTILINE)
    return [re.split(r"\s+(?:#|>|\||&&|  )", each)[0].split("   ")[0].strip() for each in found]
