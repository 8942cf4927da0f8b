"""The CRM's database: two organizations, their customers, tickets and notes.

All persons are invented. Card numbers are the ones payment providers publish for testing, and no
social security number begins with 9.
"""

import sqlite3
from typing import Any

Row = dict[str, Any]

SCHEMA = """
CREATE TABLE customers (
    id TEXT PRIMARY KEY, organization_id TEXT, name TEXT, contact TEXT, email TEXT,
    plan TEXT, status TEXT, ssn TEXT, card_number TEXT
);
CREATE TABLE tickets (
    id TEXT PRIMARY KEY, organization_id TEXT, customer_id TEXT, subject TEXT, status TEXT,
    assignee TEXT
);
CREATE TABLE notes (
    id INTEGER PRIMARY KEY, organization_id TEXT, customer_id TEXT, author TEXT,
    visibility TEXT, text TEXT
);
CREATE TABLE audit (id INTEGER PRIMARY KEY, action TEXT, record TEXT, owner TEXT);
"""

CUSTOMERS = [
    (
        "c-100",
        "org-acme",
        "Initech",
        "Bill Lumbergh",
        "bill@initech.example",
        "enterprise",
        "active",
        "900-12-3456",
        "4111 1111 1111 1111",
    ),
    (
        "c-101",
        "org-acme",
        "Hooli",
        "Gavin Belson",
        "gavin@hooli.example",
        "starter",
        "active",
        "900-65-4321",
        "5555 5555 5555 4444",
    ),
    (
        "c-102",
        "org-acme",
        "Vandelay Industries",
        "Art Vandelay",
        "art@vandelay.example",
        "starter",
        "churned",
        "900-11-2233",
        "4012 8888 8888 1881",
    ),
    (
        "c-200",
        "org-globex",
        "Umbrella Foods",
        "Alice Abernathy",
        "alice@umbrella.example",
        "enterprise",
        "active",
        "900-98-7654",
        "3782 822463 10005",
    ),
    (
        "c-201",
        "org-globex",
        "Soylent Kitchens",
        "Robert Thorn",
        "robert@soylent.example",
        "starter",
        "active",
        "900-22-3344",
        "6011 1111 1111 1117",
    ),
]

TICKETS = [
    ("t-1", "org-acme", "c-100", "Printer integration fails since the update", "open", "u-sam"),
    ("t-2", "org-acme", "c-100", "Invoice shows the wrong period", "closed", "u-sam"),
    ("t-3", "org-acme", "c-101", "Add a second workspace", "open", "u-dana"),
    ("t-4", "org-globex", "c-200", "Recall notice: batch 77", "open", "u-gil"),
    ("t-5", "org-globex", "c-201", "Invoice disputed: settlement talks", "open", "u-gil"),
]

NOTES = [
    ("org-acme", "c-100", "u-dana", "team", "Renewal is due in March; Bill wants a roadmap call."),
    ("org-acme", "c-100", "u-sam", "team", "Printer issue reproduced, fix in review."),
    ("org-acme", "c-100", "u-lena", "private", "My fallback: 40% discount. Do not share."),
    ("org-globex", "c-200", "u-gil", "team", "Legal is reviewing the recall contract."),
]


class Store:
    """Queries as the CRM's tools need them. What a caller may see is the caller's own claim."""

    def __init__(self, path: str = ":memory:") -> None:
        self._db = sqlite3.connect(path)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(SCHEMA)
        self._db.executemany(f"INSERT INTO customers VALUES ({marks(9)})", CUSTOMERS)
        self._db.executemany(f"INSERT INTO tickets VALUES ({marks(6)})", TICKETS)
        self._db.executemany(f"INSERT INTO notes VALUES (NULL, {marks(5)})", NOTES)

    def customers(
        self, organization: str, *, query: str = "", status: str | None = None, admin: bool = False
    ) -> list[Row]:
        """An organization's customers whose name contains `query`."""
        rows = self._rows(
            "SELECT * FROM customers WHERE organization_id = ? AND name LIKE ?"
            " AND status = coalesce(?, status) ORDER BY id",
            organization,
            f"%{query}%",
            status,
        )
        return [row if admin else without_secrets(row) for row in rows]

    def customer(self, organization: str, customer: str, *, admin: bool = False) -> Row:
        """One customer; its social security and card numbers are for administrators."""
        rows = self._rows(
            "SELECT * FROM customers WHERE organization_id = ? AND id = ?", organization, customer
        )
        if not rows:
            raise LookupError(f"no customer {customer} in {organization}")
        return rows[0] if admin else without_secrets(rows[0])

    def tickets(
        self, organization: str, *, customer: str | None = None, status: str | None = None
    ) -> list[Row]:
        """An organization's tickets."""
        return self._rows(
            "SELECT * FROM tickets WHERE organization_id = ?"
            " AND customer_id = coalesce(?, customer_id) AND status = coalesce(?, status)"
            " ORDER BY id",
            organization,
            customer,
            status,
        )

    def tickets_about(self, query: str) -> list[Row]:
        """The tickets whose subject contains `query`. Whose they are was forgotten."""
        return self._rows(
            "SELECT * FROM tickets WHERE subject LIKE ? ORDER BY id", f"%{query}%"
        )

    def ticket(self, ticket: str) -> Row:
        """One ticket. Whose it is was forgotten here, too."""
        rows = self._rows("SELECT * FROM tickets WHERE id = ?", ticket)
        if not rows:
            raise LookupError(f"no ticket {ticket}")
        return rows[0]

    def assign(self, organization: str, ticket: str, user: str) -> Row:
        """Gives a ticket to a user."""
        self._write(
            "UPDATE tickets SET assignee = ? WHERE organization_id = ? AND id = ?",
            user,
            organization,
            ticket,
        )
        return {"ticket_id": ticket, "assignee": user}

    def close(self, ticket: str) -> Row:
        """Closes a ticket. Whose it is was forgotten here, too."""
        found = self.ticket(ticket)
        self._write("UPDATE tickets SET status = 'closed' WHERE id = ?", ticket)
        self._write(
            "INSERT INTO audit VALUES (NULL, 'close_ticket', ?, ?)",
            ticket,
            found["organization_id"],
        )
        return {"ticket_id": ticket, "closed": True}

    def audit(self) -> list[Row]:
        """What was done, the first action first."""
        return self._rows("SELECT * FROM audit ORDER BY id")

    def notes(self, organization: str, customer: str, *, user: str | None) -> list[Row]:
        """The team's notes on a customer, and the user's private ones."""
        return self._rows(
            "SELECT author, visibility, text FROM notes WHERE organization_id = ?"
            " AND customer_id = ? AND (visibility = 'team' OR author = ?) ORDER BY id",
            organization,
            customer,
            user,
        )

    def add_note(self, organization: str, customer: str, *, user: str, text: str) -> Row:
        """Writes a note in a user's name."""
        self._write(
            "INSERT INTO notes VALUES (NULL, ?, ?, ?, 'team', ?)",
            organization,
            customer,
            user,
            text,
        )
        return {"customer_id": customer, "author": user, "text": text}

    def purge(self, organization: str, customer: str) -> Row:
        """Erases a customer's contact data."""
        self._write(
            "UPDATE customers SET contact = '', email = '', status = 'purged'"
            " WHERE organization_id = ? AND id = ?",
            organization,
            customer,
        )
        return {"customer_id": customer, "purged": True}

    def _rows(self, query: str, *values: object) -> list[Row]:
        return [dict(row) for row in self._db.execute(query, values)]

    def _write(self, statement: str, *values: object) -> None:
        with self._db:
            self._db.execute(statement, values)


def marks(count: int) -> str:
    """Placeholders for a row of `count` values."""
    return ", ".join("?" * count)


def without_secrets(row: Row) -> Row:
    """A customer, as all users of its organization may see it."""
    return {key: value for key, value in row.items() if key not in ("ssn", "card_number")}
