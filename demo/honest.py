"""Dana's own work: what the filter must not get in the way of."""

import json
from dataclasses import dataclass
from typing import Any

from demo.calls import Answer, Assistant, Call, assistant
from demo.evidence import AccessLog, Received
from demo.people import DANA, PEOPLE
from demo.show import Screen, data_in
from demo.stack import Stack


@dataclass(frozen=True)
class Step:
    """One call the model makes for Dana, and what the answer must hold."""

    purpose: str
    call: Call
    expected: str


STEPS = [
    Step(
        "find the customer",
        Call("tools/call", "crm.search_customers", {"query": "Initech"}),
        expected="c-100",
    ),
    Step(
        "read it",
        Call("tools/call", "crm.get_customer", {"customer_id": "c-100"}),
        expected="Bill Lumbergh",
    ),
    Step(
        "how it pays: a manager sees the card",
        Call("tools/call", "crm.get_billing", {"customer_id": "c-100"}),
        expected='"card_number":"4111 1111 1111 1111"',
    ),
    Step(
        "its open tickets",
        Call("tools/call", "crm.list_tickets", {"customer_id": "c-100", "status": "open"}),
        expected="Printer integration fails",
    ),
    Step(
        "the team's notes",
        Call("tools/call", "crm.list_notes", {"customer_id": "c-100"}),
        expected="Renewal is due in March",
    ),
    Step(
        "give the ticket to Sam: here user_id is data",
        Call("tools/call", "crm.assign_ticket", {"ticket_id": "t-1", "user_id": "u-sam"}),
        expected="u-sam",
    ),
    Step(
        "close it: the filter asks the server whose it is",
        Call("tools/call", "crm.close_ticket", {"ticket_id": "t-1"}),
        expected='"closed":true',
    ),
    Step(
        "a prompt for the review",
        Call("prompts/get", "crm.account_review", {"customer_id": "c-100"}),
        expected="Review Initech",
    ),
    Step(
        "the list of customers",
        Call("resources/read", "crm://org-acme/customers"),
        expected="Hooli",
    ),
]

# What a model fills in when a tool's schema asks for it.
ASKED = {"organization_id": DANA.organization, "user_id": DANA.user}


async def conversation(
    caller: Assistant, received: Received, log: AccessLog, screen: Screen
) -> bool:
    """Dana asks for the context of a customer; true if everything arrived."""
    screen.title("Dana's own work")
    screen.say(
        f"{DANA.name}, {DANA.title}, asks: [italic]What do I need to know before my call with "
        "Initech?[/italic]\nHer model works through the official MCP client and the filter."
    )
    schemas = await caller.tool_schemas()
    worked = []
    for step in STEPS:
        call = filled_in(step.call, schemas)
        received.skip()
        log.skip()
        answer = await caller.make(call)
        decision = log.decision(call.method)
        worked.append(step.expected in answer.text and decision is not None)
        show(step, answer, received.params(call.method), screen)
        said = str(decision.record.get("decision")) if decision else "none"
        screen.lines("decision", [said if worked[-1] else f"{said}, but the answer is wrong"])
    return all(worked)


def filled_in(call: Call, schemas: dict[str, dict[str, Any]]) -> Call:
    """The call with the arguments that the offered schema requires of the model."""
    required = schemas.get(call.subject, {}).get("required", [])
    asked = {name: value for name, value in ASKED.items() if name in required}
    return Call(call.method, call.subject, asked | call.arguments)


def show(step: Step, answer: Answer, received: str, screen: Screen) -> None:
    """Prints a step."""
    screen.say(f"\n[bold]{step.purpose}[/bold]")
    screen.json("model sent", answer.sent, before=f"{step.call.method} ")
    if json.loads(received or "null") == json.loads(answer.sent):
        screen.lines("server got", ["the same"])
    else:
        screen.json("server got", received or "nothing")
    screen.json("model got", data_in(answer.text))


async def offered(stack: Stack, mode: str, screen: Screen) -> None:
    """The tools each person's model is shown: only those that the policy allows."""
    screen.title("Who is offered what")
    token = stack.token(DANA)
    screen.say("The same rules decide what a list shows: a model is not offered what is refused.\n")
    async with assistant(stack.direct_url, token, mode=mode) as caller:
        rows = [[name, "x"] for name in await caller.offers()]
    for person in PEOPLE.values():
        async with assistant(stack.guarded_url, stack.token(person), mode=mode) as caller:
            seen = await caller.offers()
        for row in rows:
            row.append("x" if row[0] in seen else "")
    people = [f"{person.name.split()[0]} ({person.roles[0]})" for person in PEOPLE.values()]
    screen.table(["", "server alone", *people], rows)
