"""What a user does to allow a call, from the link to the last page."""

from __future__ import annotations

import re

from mcp import MCPError, UrlElicitationRequiredError

from .assistant import Assistant
from .browser import Person
from .sign_in import agree

ALLOW, DENY = "Allow once", "Do not allow"

LINK = re.compile(r"http://\S+/\.mcp-auth/confirm\?ticket=[\w.-]+")


def link_in(text: str) -> str:
    """The one link in a text."""
    [link] = LINK.findall(text)
    return link


def asked(assistant: Assistant, tool: str, **arguments: str) -> str:
    """The link that a call is answered with."""
    try:
        result = assistant.call(tool, **arguments)
    except MCPError as error:
        [elicitation] = UrlElicitationRequiredError.from_error(error.error).elicitations
        assert elicitation.url in error.error.message
        return link_in(elicitation.url)
    assert result.is_error
    return link_in("".join(part.text for part in result.content))


def open_page(person: Person, link: str, user: str) -> None:
    """Open a link, and sign in where it leads if that is asked for."""
    person.goto(link)
    agree(person, user)
    assert person.has(ALLOW) and person.has(DENY), (person.url().partition("?")[0], person.text())


def allow(person: Person, link: str, user: str) -> None:
    """The whole way, up to the page that says it is done."""
    open_page(person, link, user)
    person.click(ALLOW)
    assert "You allowed it" in person.text(), person.text()
