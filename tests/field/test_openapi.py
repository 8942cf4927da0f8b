"""A server that FastMCP 4 generates from an OpenAPI document: 2026-07-28 with the Python client."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import CLIENTS, call, initialize, lists, on_resource, ping
from .policies import ALLOW_ALL, STRICT
from .server import HERE, PYTHON_SERVERS, Server

SUBJECT = Subject(
    name="openapi",
    server=Server((str(PYTHON_SERVERS / "python"), str(HERE / "python/openapi_server.py"))),
    steps=[
        initialize(),
        ping(),
        *lists("tools", "prompts", "resources", "resourceTemplates"),
        call("listPets", {"limit": 5}),
        call("listPets", {"organization_id": "org-b"}, name="pets of others"),
        call("getPet", {"pet_id": 1}),
        call("getPet", {"pet_id": 2}, name="a pet of others"),
        call("getPet", {"pet_id": 9}, name="no pet"),
        call("getPet", {}, name="a missing argument"),
        call("addPet", {"name": "Zoë", "organization_id": "org-b", "tags": ["a/b", 'x"y']}),
        call("removePet", {"pet_id": 1}),
        call("listOwners", {"organizationId": "org-b"}),
        call("slow", progress=True),
        call("slow", {"steps": 60}, cancel=True, name="a cancelled call"),
        call("was_cancelled"),
        call("ask", {"topic": "color"}, answer={"value": "red"}),
        call("no_such_tool"),
        on_resource("read", "resource://openingHours"),
        on_resource("read", "resource://getShop/7"),
        on_resource("read", "resource://none"),
    ],
    strict={
        "roles": {"support": {"tools": ["*"], "resources": ["resource://*"], "deny": ["removePet"]}},
        "tools": {
            "listPets": {"arguments": {"organization_id": {"set": "organization"}}},
            "listOwners": {"arguments": {"organization_id": {"set": "organization"}}},
            "addPet": {"arguments": {"organization_id": {"set": "organization"}}},
        },
        "results": [
            {
                "tools": ["listPets", "getPet", "addPet"],
                "resources": ["*"],
                "owner": {"field": "organization_id", "is": "organization"},
                "redact": ["chip"],
                "text": "keep",
            },
            {"tools": ["*"], "redact": ["chip"], "text": "keep"},
        ],
    },
    refused={
        "a pet of others",
        "removePet",
    },
    edited={
        "list tools",
        "listPets",
        "pets of others",
        "getPet",
        "addPet",
        "listOwners",
        "read resource://getShop/7",
    },
    hidden=["removePet", "org-b", "chip-1111", "chip-2222", "Tom"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_openapi_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_openapi_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_openapi(field: Field, client: str) -> None:
    field.hides(client)
