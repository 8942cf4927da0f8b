"""A preprocessor of mdBook: links from the documents to files that are not in the book.

With BOOK_SOURCE_URL, the URL of the repository's files (`https://.../blob/v1.0.0`), they lead there. Without it, the
book says the path of the file.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import sys
from typing import Any

# Where the documents are in the repository.
DOCUMENTS = "docs"
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")


def linked(text: str, link: str, chapter: str, source: str | None) -> str:
    """What stands in the book for one link of a chapter."""
    path, _, heading = link.partition("#")
    if not path or ":" in path:
        return f"[{text}]({link})"
    place = posixpath.normpath(posixpath.join(DOCUMENTS, posixpath.dirname(chapter), path))
    if place.startswith(f"{DOCUMENTS}/"):
        return f"[{text}]({link})"
    if source:
        return f"[{text}]({source.rstrip('/')}/{place}{'#' + heading if heading else ''})"
    return text if text.strip("`") == place else f"{text} (`{place}`)"


def rewrite(items: list[Any], source: str | None) -> None:
    """Rewrites the links of these chapters and of those below them."""
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            chapter = item["Chapter"]
            path = chapter["path"] or ""
            chapter["content"] = LINK.sub(lambda found: linked(*found.groups(), path, source), chapter["content"])  # noqa: B023
            rewrite(chapter["sub_items"], source)


def main() -> None:
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    rewrite(book["items"], os.environ.get("BOOK_SOURCE_URL"))
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
