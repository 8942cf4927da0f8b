"""What a user does to connect an account, from the link to the last page."""

from __future__ import annotations

import re

from mcp import MCPError, UrlElicitationRequiredError
from mcp_types import CallToolResult

from .assistant import Assistant
from .browser import Person
from .providers import ACCOUNTS
from .sign_in import agree
from .sites import TITLE

CONTINUE = f"Continue to {TITLE}"

LINK = re.compile(r"http://\S+/\.mcp-auth/connect\?ticket=[\w.-]+")


def asked(assistant: Assistant, tool: str = "notes.list", **arguments: str) -> str:
    """The link that a call is answered with, for a client that opens no pages."""
    try:
        result = assistant.call(tool, **arguments)
    except MCPError as error:
        [elicitation] = UrlElicitationRequiredError.from_error(error.error).elicitations
        assert elicitation.url in error.error.message
        return elicitation.url
    assert result.is_error, result
    return link_in(text(result))


def text(result: CallToolResult) -> str:
    """What the model reads."""
    return "".join(part.text for part in result.content)


def link_in(text: str) -> str:
    """The one link in a text."""
    [link] = LINK.findall(text)
    return link


def open_link(person: Person, link: str, user: str) -> None:
    """Open a link, and sign in where it leads if that is asked for."""
    person.goto(link)
    agree(person, user)


def go_on(person: Person) -> None:
    """Say yes on the page, and go where that leads."""
    asking = person.url()
    person.click(CONTINUE)
    # The page between says no more than where to, and goes there by itself.
    person.run(person.page.wait_for_url(lambda url: url not in (asking, asking.partition("?")[0])))


def connect(person: Person, link: str, user: str) -> None:
    """The whole way, up to the page that says it is done."""
    open_link(person, link, user)
    go_on(person)
    agree(person, ACCOUNTS[user])
    assert f"{TITLE} is connected" in person.text(), (person.url().partition("?")[0], person.text())
