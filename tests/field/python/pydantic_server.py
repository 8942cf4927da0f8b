"""A CRM on FastMCP of the official Python SDK (its first line), with pydantic models. Listens at $PORT."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.types import Completion, SamplingMessage, TextContent
from pydantic import BaseModel, Field

INSTRUCTIONS = "Ask get_customer first, never purge."

crm = FastMCP("crm", instructions=INSTRUCTIONS, host="127.0.0.1", port=int(os.environ["PORT"]))


class Address(BaseModel):
    """Where a customer lives."""

    street: str
    city: str


class Customer(BaseModel):
    """One customer."""

    id: int
    name: str
    organization_id: str
    ssn: str = Field(pattern=r"^\d{3}-\d{2}-\d{4}$")
    limit: float
    address: Address | None = None


class Approval(BaseModel):
    """What a user fills in."""

    username: str = Field(description="Name of the approver")
    role: str = Field(default="lead", description="Role of the approver")
    amount: int = 0


ANN = Customer(
    id=1, name="Ann Acker", organization_id="org-a", ssn="123-45-6789", limit=5123.5,
    address=Address(street="1 Main St", city="Ghent"),
)
BO = Customer(id=2, name="Bo Baxter", organization_id="org-b", ssn="987-65-4321", limit=77.25)

cancelled: list[str] = []


@crm.tool()
def search_customers(query: str, limit: int = 10) -> list[Customer]:
    """Find customers."""
    return [each for each in (ANN, BO) if query.lower() in each.name.lower()][:limit]


@crm.tool()
def get_customer(id: int) -> Customer | None:
    """One customer, or none."""
    return {1: ANN, 2: BO}.get(id)


@crm.tool()
def whose(user_id: str, topic: str = "orders") -> str:
    """Returns the user that it was called for."""
    return f"{topic} of {user_id}"


@crm.tool()
def totals() -> dict[str, float]:
    """Numbers of the year."""
    return {"sales": 1234567.125, "large": 1e21, "small": 1e-7, "none": 0.0}


@crm.tool()
def source(name: str) -> str:
    """A text that resembles JSON."""
    return f'def {name}():\n    return {{"id": 1, "tags": ["a", "b"]}}  # [see](https://example.com/{name})\n'


@crm.tool()
def deep(levels: int) -> dict[str, Any]:
    """A report of an error with many levels."""
    report: dict[str, Any] = {"message": "disk full"}
    for _ in range(levels):
        report = {"cause": report}
    return {"error": report}


@crm.tool()
def not_a_number() -> dict[str, Any]:
    """Numbers that JSON does not have."""
    return {"ratio": float("nan"), "limit": float("inf")}


@crm.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=b"\x89PNG\r\n\x1a\n" + bytes(range(256)), format="png")


@crm.tool()
def large(kilobytes: int) -> str:
    """A long text."""
    return "0123456789abcdef" * 64 * kilobytes


@crm.tool()
def fails() -> str:
    """Fails. The error names a tool that the strict policy hides."""
    raise ValueError("no such customer; did you mean purge?")


@crm.tool()
async def slow(ctx: Context[Any, Any, Any], steps: int = 3) -> str:
    """Reports progress on the way."""
    try:
        for step in range(steps):
            await ctx.report_progress(step, steps, f"step {step}")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        cancelled.append("slow")
        raise
    return "done"


@crm.tool()
async def was_cancelled() -> int:
    """How many calls were cancelled since the last question."""
    for _ in range(100):
        if cancelled:
            break
        await asyncio.sleep(0.02)
    count = len(cancelled)
    cancelled.clear()
    return count


@crm.tool()
async def approve(ctx: Context[Any, Any, Any], order: int) -> str:
    """Asks the user."""
    answer = await ctx.elicit(f"Approve order {order}?", Approval)
    return f"{answer.action}: {answer.data if answer.action == 'accept' else None}"


@crm.tool()
async def summarize(ctx: Context[Any, Any, Any], text: str) -> str:
    """Asks the model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=f"Summarize: {text}"))
    answer = await ctx.session.create_message([message], max_tokens=20, related_request_id=ctx.request_id)
    return answer.content.text if isinstance(answer.content, TextContent) else "no text"


@crm.tool()
async def logs(ctx: Context[Any, Any, Any]) -> str:
    """Writes to the client's log."""
    await ctx.info("about Ann Acker, 123-45-6789")
    return "logged"


@crm.tool()
def purge() -> str:
    """Deletes everything."""
    return "purged"


@crm.prompt()
def review(customer: str, tone: str = "friendly") -> str:
    """Review a customer."""
    return f"Review {customer}, {tone}"


@crm.prompt()
def secret_prompt() -> str:
    """For managers."""
    return "secret plans"


@crm.resource("crm://public/faq")
def faq() -> str:
    """Questions and answers."""
    return "Q: how? A: so."


@crm.resource("crm://vault/key", mime_type="application/octet-stream")
def vault() -> bytes:
    """A key that the strict policy hides."""
    return b"the key of the vault"


@crm.resource("crm://{organization}/profile", mime_type="application/json")
def profile(organization: str) -> dict[str, Any]:
    """An organization."""
    return {"organization_id": organization, "plan": "gold"}


@crm.completion()
async def complete(ref: Any, argument: Any, context: Any) -> Any:
    """Completes names of organizations and tones."""
    values = {"organization": ["org-a", "org-b"], "tone": ["friendly", "formal"]}.get(argument.name, [])
    return Completion(values=[each for each in values if each.startswith(argument.value)], hasMore=False)


crm.run(transport="streamable-http")
