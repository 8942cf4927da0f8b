"""A headless Chromium, and its users: each has separate cookies."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import BrowserContext, Page, Response, async_playwright

from ..harness.background import EventLoop
from ..harness.waiting import PATIENCE_S
from .binaries import TOOLS, find

T = TypeVar("T")

FETCHED = TOOLS / "chromium/chromium"

# It reaches this machine only.
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-proxy-server",
]

PHONE = {"width": 390, "height": 844}

# For each step of the browser's.
LIMIT_MS = PATIENCE_S * 1000


@dataclass(frozen=True)
class Document:
    """An answer the browser navigated to."""

    status: int
    # With names in lower case.
    headers: dict[str, str]


class Person:
    """A user with a separate browser context and one page."""

    def __init__(self, loop: EventLoop, context: BrowserContext, page: Page) -> None:
        self.loop, self.context, self.page = loop, context, page

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Anything else Playwright offers: `person.run(person.page.go_back())`."""
        return self.loop.run(work, timeout=2 * PATIENCE_S)

    def on(self, event: str, note: Callable[[Any], None]) -> None:
        """Have Playwright's events of the page noted."""

        async def subscribe() -> None:
            self.page.on(event, note)

        self.run(subscribe())

    def goto(self, url: str) -> Document:
        """Go to an address, and wherever it leads."""
        answer = self.run(self.page.goto(url))
        assert answer is not None, f"{url} is where the page is already"
        return self._document(answer)

    def fill(self, label: str, text: str) -> None:
        """Fill in the field with this label."""
        self.run(self.page.get_by_label(label, exact=True).fill(text))

    def click(self, name: str) -> Document:
        """Press the button, or follow the link, with this name; the page it leads to."""
        return self._document(self.run(self._click(name)))

    def url(self) -> str:
        """Where the page is."""
        return self.page.url

    def text(self) -> str:
        """What is to be read on the page."""
        return self.run(self.page.inner_text("body"))

    def has(self, name: str) -> bool:
        """Whether there is a button or link with this name."""
        return self.run(self._named(name).count()) > 0

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Every cookie the browser holds, with its attributes, by name."""
        return {each["name"]: dict(each) for each in self.run(self.context.cookies())}

    def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        self.run(self.page.screenshot(path=path, full_page=True))

    def close(self) -> None:
        """Leave, and forget every cookie."""
        self.run(self.context.close())

    async def _click(self, name: str) -> Response:
        async with self.page.expect_navigation() as navigation:
            await self._named(name).click()
        answer = await navigation.value
        assert answer is not None, f"{name!r} leads to no other page"
        return answer

    def _named(self, name: str) -> Any:
        button, link = (self.page.get_by_role(role, name=name, exact=True) for role in ("button", "link"))
        return button.or_(link)

    def _document(self, answer: Response) -> Document:
        return Document(answer.status, self.run(answer.all_headers()))


class Chromium:
    """The browser's process."""

    def __init__(self) -> None:
        self.loop = EventLoop()
        self.people: list[Person] = []
        self.loop.run(self._start())

    def person(self, **options: Any) -> Person:
        """A new user, at a phone; `options` are Playwright's, such as `java_script_enabled`."""
        self.people.append(self.loop.run(self._person(options)))
        return self.people[-1]

    def close(self) -> None:
        """End the process."""
        self.loop.run(self._stop())
        self.loop.close()

    async def _start(self) -> None:
        program = find("CHROMIUM_BIN", ("chromium", "google-chrome"), FETCHED)
        self.playwright = await async_playwright().start()
        self.browser = await self.playwright.chromium.launch(
            executable_path=program,
            args=FLAGS,
            # As root there is no sandbox.
            chromium_sandbox=os.geteuid() != 0,
            env={**os.environ, **(_beside(program) if program == FETCHED else {})},
        )

    async def _person(self, options: dict[str, Any]) -> Person:
        context = await self.browser.new_context(**{"viewport": PHONE, **options})
        context.set_default_timeout(LIMIT_MS)
        return Person(self.loop, context, await context.new_page())

    async def _stop(self) -> None:
        await self.browser.close()
        await self.playwright.stop()


def _beside(program: Path) -> dict[str, str]:
    """Where the fetched browser finds its libraries and its font."""
    directory = program.parent
    return {"LD_LIBRARY_PATH": str(directory / "al2023/lib"), "FONTCONFIG_FILE": str(directory / "fonts.conf")}
