"""The official server of a knowledge graph: structured content and its text with indents."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import CLIENTS, call, initialize, lists, on_resource, ping, wait_for
from .policies import ALLOW_ALL, STRICT
from .server import Server, bridged

GRAPH = "memory://knowledge-graph"
ANN = {"name": "Ann", "entityType": "person", "observations": ["likes tea", "lives in Ghent"]}
ACME = {"name": "Acme", "entityType": "company", "observations": ["owes 77310 euros"]}
WORKS = {"from": "Ann", "to": "Acme", "relationType": "works at"}

SUBJECT = Subject(
    name="memory",
    server=Server(bridged("memory"), {"MEMORY_FILE_PATH": "$DIRECTORY/memory.jsonl"}),
    steps=[
        initialize(),
        ping(),
        *lists("tools", "resources", "prompts", "resourceTemplates"),
        call("read_graph", name="an empty graph"),
        on_resource("subscribe", GRAPH),
        call("create_entities", {"entities": [ANN, ACME]}),
        wait_for("notifications/resources/updated"),
        call("create_relations", {"relations": [WORKS]}),
        call("add_observations", {"observations": [{"entityName": "Ann", "contents": ["speaks Dutch"]}]}),
        call("add_observations", {"observations": [{"entityName": "None", "contents": ["x"]}]}, name="unknown entity"),
        call("read_graph"),
        on_resource("read", GRAPH),
        call("search_nodes", {"query": "tea"}),
        call("open_nodes", {"names": ["Ann", "Acme"]}),
        call("open_nodes", {"names": "Ann"}, name="arguments of a wrong type"),
        call("delete_observations", {"deletions": [{"entityName": "Ann", "observations": ["likes tea"]}]}),
        call("delete_relations", {"relations": [WORKS]}),
        call("delete_entities", {"entityNames": ["Acme"]}),
        call("read_graph", name="the graph in the end"),
        on_resource("unsubscribe", GRAPH),
    ],
    strict={
        "roles": {
            "support": {"tools": ["*"], "resources": ["memory://*"], "deny": ["delete_*"]},
        },
        "results": [{"tools": ["*"], "resources": ["*"], "redact": ["observations"]}],
    },
    refused={"list prompts", 
        "unknown entity",
        "arguments of a wrong type",
        "delete_observations",
        "delete_relations",
        "delete_entities",
    },
    edited={
        "list tools",
        "create_entities",
        "read_graph",
        "read memory://knowledge-graph",
        "search_nodes",
        "open_nodes",
        "the graph in the end",
    },
    hidden=["delete_entities", "owes 77310 euros", "likes tea"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_memory_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_memory_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_memory(field: Field, client: str) -> None:
    field.hides(client)
