"""The official server that has every feature of the protocol (up to 2025-11-25)."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import (
    CLIENTS,
    call,
    complete,
    initialize,
    level,
    lists,
    on_resource,
    ping,
    prompt,
    request,
    task,
    wait_for,
)
from .policies import ALLOW_ALL, STRICT
from .server import Server, official

PROMPT = {"type": "ref/prompt", "name": "completable-prompt"}
TEXT = "demo://resource/dynamic/text/1"
BLOB = "demo://resource/dynamic/blob/2"
DOCUMENT = "demo://resource/static/document/architecture.md"

SUBJECT = Subject(
    name="everything",
    server=Server(official("everything", "streamableHttp"), {"SECRET_SETTING": "a-setting-of-the-server"}),
    steps=[
        initialize(),
        ping(),
        *lists("tools", "prompts", "resources", "resourceTemplates"),
        task("simulate-research-query", {"topic": "filters"}, name="a task"),
        wait_for("roots/list"),
        level("debug"),
        call("echo", {"message": "hello"}),
        call("echo", {"message": 5}, name="echo of a number"),
        call("get-sum", {"a": 1.5, "b": 2}),
        call("get-env"),
        call("get-tiny-image"),
        call("get-annotated-message", {"messageType": "error", "includeImage": True}),
        call("get-structured-content", {"location": "Chicago"}),
        call("get-resource-links", {"count": 3}),
        call("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
        call("get-resource-reference", {"resourceType": "Blob", "resourceId": 2}, name="a blob reference"),
        call("get-roots-list"),
        call("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}),
        call("gzip-file-as-resource", {"name": "b.gz", "data": "data:text/plain,hello"}, name="a gzip link"),
        on_resource("read", "demo://resource/session/b.gz"),
        call("trigger-long-running-operation", {"duration": 0.2, "steps": 4}, progress=True),
        call("trigger-long-running-operation", {"duration": 1, "steps": 10}, cancel=True, name="a cancelled call"),
        call("trigger-sampling-request", {"prompt": "say", "maxTokens": 5}, answer="said"),
        call("trigger-elicitation-request", answer={"name": "Ann", "check": True, "integer": 7}),
        call("trigger-url-elicitation", {"url": "https://example.com/x", "elicitationId": "e-1"}),
        call("no-such-tool"),
        call("toggle-simulated-logging"),
        wait_for("notifications/message"),
        call("toggle-simulated-logging", name="logging off"),
        prompt("simple-prompt"),
        prompt("args-prompt", {"city": "Ghent", "state": "East Flanders"}),
        prompt("args-prompt-unknown"),
        prompt("completable-prompt", {"department": "Sales", "name": "Eve"}),
        prompt("resource-prompt", {"resourceType": "Text", "resourceId": "1"}),
        complete(PROMPT, "department", "S"),
        complete(PROMPT, "name", "", department="Engineering"),
        complete({"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}, "resourceId", "1"),
        on_resource("read", TEXT),
        on_resource("read", BLOB),
        on_resource("read", DOCUMENT),
        on_resource("read", "demo://resource/none"),
        on_resource("subscribe", TEXT),
        call("toggle-subscriber-updates"),
        wait_for("notifications/resources/updated"),
        call("toggle-subscriber-updates", name="updates off"),
        on_resource("unsubscribe", TEXT),
        request("tasks of the caller", "tasks/list"),
    ],
    strict={
        "roles": {
            "support": {
                "tools": ["echo", "get-s*", "get-annotated-message", "get-r*", "trigger-*", "toggle-*"],
                "prompts": ["args-prompt", "completable-prompt"],
                "resources": ["demo://resource/dynamic/text/*"],
                "deny": ["trigger-url-elicitation"],
            }
        },
        "tools": {"get-env": {}, "gzip-file-as-resource": {}, "get-sum": {"when": "args.a < 100.0"}},
        "results": [
            {"tools": ["get-structured-content"], "redact": ["conditions"]},
            # No tool has this field, so that these results stay as they are.
            {"tools": ["*"], "redact": ["homepage"], "text": "keep"},
        ],
    },
    refused={
        "a task",
        "get-env",
        "get-tiny-image",
        "gzip-file-as-resource",
        "a gzip link",
        "read demo://resource/session/b.gz",
        "trigger-url-elicitation",
        "no-such-tool",
        "prompt simple-prompt",
        "prompt args-prompt-unknown",
        "prompt resource-prompt",
        "read demo://resource/dynamic/blob/2",
        "read demo://resource/static/document/architecture.md",
        "read demo://resource/none",
        "tasks of the caller",
    },
    edited={
        "initialize",
        "list tools",
        "list prompts",
        "list resources",
        "list resourceTemplates",
        "get-structured-content",
    },
    hidden=["get-env", "gzip-file-as-resource", "a-setting-of-the-server", "simple-prompt", "Light rain"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_everything_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_everything_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_everything(field: Field, client: str) -> None:
    field.hides(client)
