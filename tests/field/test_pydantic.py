"""FastMCP of the official Python SDK: models, wrapped results, texts, questions to users and models."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import CLIENTS, call, complete, initialize, lists, on_resource, ping, prompt, request
from .policies import ALLOW_ALL, STRICT
from .server import HERE, OLD_PYTHON, Server

# Which user of ChatGPT, of which organization: facts for the server, and no identity of ours.
CHATGPT = {"openai/subject": "v1/abc", "openai/organization": "org-xyz", "openai/locale": "en-US"}

TEMPLATE = {"type": "ref/resource", "uri": "crm://{organization}/profile"}

SUBJECT = Subject(
    name="pydantic",
    server=Server((str(OLD_PYTHON), str(HERE / "python/pydantic_server.py"))),
    steps=[
        initialize(),
        ping(),
        *lists("tools", "prompts", "resources", "resourceTemplates"),
        call("search_customers", {"query": "a"}),
        call("search_customers", {"query": "nothing"}, name="an empty list"),
        call("search_customers", {"limit": 3}, name="a missing argument"),
        call("get_customer", {"id": 1}),
        call("get_customer", {"id": 2}, name="a customer of others"),
        call("get_customer", {"id": 9}, name="no customer"),
        call("whose", {"user_id": "user-bob", "topic": "invoices"}),
        call("whose", {"user_id": "user-bob"}, meta=CHATGPT, name="metadata of ChatGPT"),
        call("totals"),
        request("null in place of arguments", "tools/call", name="totals", arguments=None),
        request("null in place of _meta", "tools/call", name="totals", _meta=None),
        call("deep", {"levels": 20}),
        call("deep", {"levels": 70}, name="seventy levels"),
        call("not_a_number"),
        call("source", {"name": "f"}),
        call("picture"),
        call("large", {"kilobytes": 300}),
        call("large", {"kilobytes": 3000}, name="three megabytes"),
        call("fails"),
        call("slow", progress=True),
        call("slow", {"steps": 60}, cancel=True, name="a cancelled call"),
        call("was_cancelled"),
        call("approve", {"order": 7}, answer={"username": "Ann", "role": "boss", "amount": 3}),
        call("summarize", {"text": "long"}, answer="short"),
        call("logs"),
        call("purge"),
        call("no_such_tool"),
        prompt("review", {"customer": "Ann"}),
        prompt("secret_prompt"),
        complete(TEMPLATE, "organization", "org"),
        complete({"type": "ref/prompt", "name": "review"}, "tone", "f"),
        on_resource("read", "crm://public/faq"),
        on_resource("read", "crm://vault/key"),
        on_resource("read", "crm://org-a/profile"),
        on_resource("read", "crm://org-b/profile"),
    ],
    strict={
        "roles": {
            "support": {
                "tools": ["*"],
                "prompts": ["review"],
                "resources": ["crm://public/*", "crm://{organization}/*"],
                "deny": ["purge"],
            }
        },
        "arguments": {"user_id": {"set": "user"}},
        "builtin_arguments": True,
        "tools": {"approve": {"arguments": {"username": "keep", "role": "keep"}}},
        "results": [
            {
                "tools": ["search_customers", "get_customer"],
                "owner": {"field": "organization_id", "is": "organization"},
                "redact": ["ssn", "limit"],
            },
            {"tools": ["*"], "redact": ["ssn"], "text": "keep"},
        ],
    },
    refused={
        "a missing argument",
        "a customer of others",
        # Deeper than the filter reads, so that the rules cannot be applied.
        "seventy levels",
        "fails",
        "purge",
        "prompt secret_prompt",
        "complete organization",
        "read crm://vault/key",
        "read crm://org-b/profile",
    },
    edited={
        "initialize",
        "list tools",
        "list prompts",
        "list resources",
        "search_customers",
        "get_customer",
        "whose",
        "metadata of ChatGPT",
    },
    hidden=["purge", "987-65-4321", "Bo Baxter", "5123.5", "secret plans", "the key of the vault", "user-bob"],
    shown=["invoices of user-anna"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_pydantic_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_pydantic_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_pydantic(field: Field, client: str) -> None:
    field.hides(client)
