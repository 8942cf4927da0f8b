"""What the model tries, and how to tell whether it worked.

Most of it is tried for Dana, a customer success manager of Acme.
"""

from dataclasses import dataclass, field
from typing import Any

from demo.calls import Call
from demo.people import DANA, SAM, Person

# Only found in Globex's customers.
GLOBEX_CUSTOMER = "Umbrella Foods"
# Only found in the private note of another user.
PRIVATE_NOTE = "40% discount"
# Only found in the tickets of Globex.
GLOBEX_TICKET = "settlement talks"
GLOBEX_RECALL = "Recall notice"
# Only shown to administrators, and to managers where the bills are.
CARD_NUMBER = "4111 1111 1111 1111"


@dataclass(frozen=True)
class Attack:
    """One attempt.

    It worked if `proof` came back and `smuggled` reached the server. It failed if neither did, and
    the access log says what it should.
    """

    title: str
    call: Call
    proof: str
    # None where the call is honest and the answer is not.
    smuggled: str | None = None
    person: Person = DANA
    # What the filter's record has to hold.
    logged: dict[str, Any] = field(default_factory=dict)
    # What it is called when it works.
    damage: str = "LEAKED"
    # Whether it acts on a record: then the server's audit table must have nothing of it.
    acts: bool = False


def tool(name: str, **arguments: object) -> Call:
    """A tool call."""
    return Call("tools/call", name, arguments)


# The model has read something that told it to go further: a ticket, an e-mail, a web page.
LIES = [
    Attack(
        "another organization's customers",
        tool("crm.search_customers", organization_id="org-globex"),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "another user's private notes",
        tool("crm.list_notes", organization_id="org-acme", customer_id="c-100", user_id="u-lena"),
        proof=PRIVATE_NOTE,
        smuggled="u-lena",
    ),
    Attack(
        "the role of an administrator",
        tool("crm.get_customer", organization_id="org-acme", customer_id="c-100", role="admin"),
        proof=CARD_NUMBER,
        smuggled="admin",
    ),
    Attack(
        "a tool the role does not have",
        tool("crm.purge_customer", organization_id="org-acme", customer_id="c-102"),
        proof='"purged":true',
        smuggled="crm.purge_customer",
        damage="ERASED",
    ),
    Attack(
        "an organization inside a nested object",
        tool(
            "crm.export_customers",
            organization_id="org-acme",
            filter={"organization_id": "org-globex", "status": "active"},
        ),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "the same argument, spelled with a hyphen and capitals",
        tool("crm.search_customers", **{"Organization-ID": "org-globex"}),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "full-width letters and an invisible character",
        tool("crm.search_customers", **{"ｏｒｇａｎｉｚａｔｉｏｎ\u200b_id": "org-globex"}),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "an object written as a string, which the server unpacks",
        tool(
            "crm.export_customers",
            organization_id="org-acme",
            filter='{"organization_id": "org-globex"}',
        ),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "an organization in a prompt's arguments",
        Call(
            "prompts/get",
            "crm.account_review",
            {"customer_id": "c-200", "organization_id": "org-globex"},
        ),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
    Attack(
        "another organization's resource",
        Call("resources/read", "crm://org-globex/customers"),
        proof=GLOBEX_CUSTOMER,
        smuggled="org-globex",
    ),
]

# The policy allows refunds up to 100. A decision point outside allows less.
DECIDED = [
    Attack(
        "a refund above what an outside policy allows",
        tool("crm.refund", organization_id="org-acme", customer_id="c-100", amount=80),
        proof='"refunded":80',
        smuggled="crm.refund",
        logged={"decision": "blocked", "reason": "decision_denied", "decided_by": "authzen:decisions"},
        damage="PAID",
    ),
]

# The model only asks. The server forgets to look whom it answers.
MISTAKES = [
    Attack(
        "a search for which the server forgets the organization",
        tool("crm.search_tickets", organization_id="org-acme", query="invoice"),
        proof=GLOBEX_TICKET,
        logged={"decision": "approved", "dropped_items": 1},
    ),
    Attack(
        "another organization's ticket, by its number",
        tool("crm.get_ticket", organization_id="org-acme", ticket_id="t-4"),
        proof=GLOBEX_RECALL,
        logged={"decision": "blocked", "reason": "result_not_owned"},
    ),
    Attack(
        "a card number, for a support agent",
        tool("crm.get_billing", organization_id="org-acme", customer_id="c-100"),
        proof=CARD_NUMBER,
        person=SAM,
        logged={"decision": "approved", "redacted": ["ssn", "card_number"]},
    ),
]

# The model acts on a record by its number. The answer comes too late to stop it.
ACTIONS = [
    Attack(
        "closing another organization's ticket, by its number",
        tool("crm.close_ticket", organization_id="org-acme", ticket_id="t-4"),
        proof='"closed":true',
        logged={"decision": "blocked", "reason": "lookup_not_owned", "lookups": 1},
        damage="CLOSED",
        acts=True,
    ),
]
