"""The demo's processes, asked for what the shipped policy allows and denies."""

from __future__ import annotations

import urllib.request
from typing import Any

from demo.evidence import Received
from demo.people import DANA, SAM, Person
from demo.stack import Stack

from . import client
from .http import Response
from .messages import LEGACY, MODERN, call, post
from .waiting import PATIENCE_S


def ask(
    stack: Stack, person: Person | None, tool: str, era: str = MODERN, **arguments: Any
) -> Response:
    """A tool call through Envoy."""
    token = stack.token(person) if person else None
    request = post(call(era, tool, arguments), token, era)
    return client.send(stack.placement.listener, request)


def assert_guards(stack: Stack) -> None:
    """Allowed, rewritten, denied, not signed in: each as the policy says."""
    received = Received(stack.received)
    for era in (LEGACY, MODERN):
        allowed = ask(stack, DANA, "crm.get_customer", era, customer_id="c-100")
        assert allowed.rpc()["result"]["structuredContent"]["name"] == "Initech"
        rewritten = ask(stack, DANA, "crm.search_customers", era, organization_id="org-globex")
        assert b"org-acme" in rewritten.body and b"org-globex" not in rewritten.body
        assert "org-globex" not in received.params("tools/call")
        denied = ask(stack, DANA, "crm.purge_customer", era, customer_id="c-100")
        assert denied.error_code() == -32602
        assert ask(stack, SAM, "crm.refund", era, amount=1).error_code() == -32602
        assert_judges_results(stack, era)
        received.skip()
        challenged = ask(stack, None, "crm.get_customer", era, customer_id="c-100")
        assert challenged.status == 401 and challenged.header("www-authenticate")
        assert received.params("tools/call") == ""


def assert_judges_results(stack: Stack, era: str) -> None:
    """What is another organization's, or not for this role, stays behind."""
    found = ask(stack, DANA, "crm.search_tickets", era, query="invoice")
    assert found.rpc()["result"]["structuredContent"]["total"] == 1
    assert b"t-2" in found.body and b"org-globex" not in found.body
    assert ask(stack, DANA, "crm.get_ticket", era, ticket_id="t-4").error_code() == 403
    for person, sees in ((DANA, True), (SAM, False)):
        billing = ask(stack, person, "crm.get_billing", era, customer_id="c-100")
        assert b"Initech" in billing.body
        assert (b"900-12-3456" in billing.body, b"4111 1111" in billing.body) == (sees, sees)


def host_log(stack: Stack) -> str:
    """What Envoy said."""
    return (stack.directory / "envoy.log").read_text(errors="replace")


def admin(stack: Stack, path: str) -> str:
    """A page of Envoy's admin interface."""
    url = f"http://127.0.0.1:{stack.placement.admin}{path}"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as page:
        return page.read().decode()
