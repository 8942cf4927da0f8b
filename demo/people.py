"""The people of the demo, as the issuer knows them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A user who can sign in."""

    key: str
    name: str
    title: str
    user: str
    organization: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]


DANA = Person(
    key="dana",
    name="Dana Reyes",
    title="customer success manager at Acme",
    user="u-dana",
    organization="org-acme",
    roles=("manager",),
    scopes=("crm:read", "crm:write"),
)
SAM = Person(
    key="sam",
    name="Sam Okafor",
    title="support agent at Acme",
    user="u-sam",
    organization="org-acme",
    roles=("support",),
    scopes=("crm:read",),
)
GIL = Person(
    key="gil",
    name="Gil Tanaka",
    title="customer success manager at Globex",
    user="u-gil",
    organization="org-globex",
    roles=("manager",),
    scopes=("crm:read", "crm:write"),
)

PEOPLE: dict[str, Person] = {person.key: person for person in (DANA, SAM, GIL)}
