"""The user's browser: it follows redirects and keeps cookies, and the provider does the rest."""

from __future__ import annotations

import httpx

from ..harness.waiting import PATIENCE_S

# Where the browser leaves for the program that sent the user; nothing listens there.
REDIRECT_URI = "http://127.0.0.1:7777/callback"


class Browser:
    """One user at one browser: signed in after the first visit."""

    def __init__(self) -> None:
        self.http = httpx.Client(timeout=PATIENCE_S)
        self.visited: list[str] = []

    def visit(self, url: str) -> str:
        """Follow where an authorization request leads; the address of the callback."""
        self.visited.append(url)
        for _ in range(20):
            answer = self.http.get(url)
            assert answer.is_redirect, f"{url}: {answer.status_code} {answer.text[:2000]}"
            url = str(answer.next_request.url) if answer.next_request else ""
            if url.startswith(REDIRECT_URI):
                return url
        raise AssertionError(f"the provider goes round in circles at {url}")

    def close(self) -> None:
        """Close its connections."""
        self.http.close()
