"""The official server of files: texts beside structured content, and roots of the client."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import CLIENTS, DIRECTORY, call, initialize, lists, ping, wait_for
from .policies import ALLOW_ALL, STRICT
from .server import Server, bridged

OWN = f"{DIRECTORY}/org-a"
OTHER = f"{DIRECTORY}/org-b"
EDIT = {"oldText": "one", "newText": "uno"}

SUBJECT = Subject(
    name="filesystem",
    server=Server(
        bridged("filesystem", "$DIRECTORY"),
        files={
            "org-a/notes.txt": "one\ntwo\nmail ann@example.com\n",
            "org-a/data.json": '{"name": "Ann", "mail": "ann@example.com", "n": 1.50}\n',
            "org-a/main.py": "def f():\n    return {'a': [1, 2]}  # [x](y)\n",
            "org-a/dot.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
            "org-b/plan.txt": "the plan of org-b\n",
        },
    ),
    steps=[
        initialize(),
        ping(),
        wait_for("roots/list"),
        *lists("tools"),
        call("list_allowed_directories"),
        call("read_file", {"path": f"{OWN}/notes.txt"}),
        call("read_text_file", {"path": f"{OWN}/main.py", "head": 1}),
        call("read_text_file", {"path": f"{OWN}/data.json"}, name="a file of JSON"),
        call("read_media_file", {"path": f"{OWN}/dot.svg"}),
        call("read_multiple_files", {"paths": [f"{OWN}/notes.txt", f"{OWN}/none.txt"]}),
        call("read_text_file", {"path": f"{OTHER}/plan.txt"}, name="a file of others"),
        call("read_text_file", {"path": "/etc/hostname"}, name="a file elsewhere"),
        call("create_directory", {"path": f"{OWN}/new"}),
        call("write_file", {"path": f"{OWN}/new/a.txt", "content": "one\nä \"quoted\" \\ \t\u2028\n"}),
        call("edit_file", {"path": f"{OWN}/new/a.txt", "edits": [EDIT], "dryRun": True}, name="a dry run"),
        call("edit_file", {"path": f"{OWN}/new/a.txt", "edits": [EDIT]}),
        call("read_text_file", {"path": f"{OWN}/new/a.txt"}, name="the edited file"),
        call("move_file", {"source": f"{OWN}/new/a.txt", "destination": f"{OWN}/new/b.txt"}),
        call("list_directory", {"path": OWN}),
        call("list_directory_with_sizes", {"path": OWN, "sortBy": "size"}),
        call("directory_tree", {"path": OWN}),
        call("search_files", {"path": OWN, "pattern": "**/*.txt"}),
        call("get_file_info", {"path": f"{OWN}/notes.txt"}),
    ],
    strict={
        "roles": {"support": {"tools": ["*"], "deny": ["move_file", "list_allowed_directories"]}},
        "arguments": {"path": {"owner": {"is": "organization", "at": "^$DIRECTORY/([^/]+)"}}},
        "results": [{"tools": ["*"], "detect": ["email"]}],
    },
    refused={
        "list_allowed_directories",
        "a file of others",
        "a file elsewhere",
        "move_file",
    },
    edited={
        "list tools",
        "read_file",
        "a file of JSON",
        "read_multiple_files",
        "directory_tree",
        "search_files",
    },
    hidden=["move_file", "ann@example.com", "the plan of org-b"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_filesystem_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_filesystem_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_filesystem(field: Field, client: str) -> None:
    field.hides(client)
