"""The matrix: each step of each server, with each client, directly and behind two policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..harness import tokens
from ..harness.envoy import Envoy
from ..harness.policy import Policy, policy
from ..harness.process import NODE, Process
from . import python_client
from .known_differences import KNOWN_DIFFERENCES
from .normal import everything_said, normal
from .plan import CLIENTS, PYTHON, STEP_LIMIT_S, Outcome, Run, Step, of_client, placed
from .policies import ALLOW_ALL, DIRECT, STRICT
from .server import HERE, Server

Test = Callable[..., None]


@dataclass(frozen=True)
class Subject:
    """A server, what clients do with it, and what the strict policy makes of that."""

    name: str
    server: Server
    steps: list[Step]
    # The keys of the strict policy.
    strict: dict[str, Any]
    # Steps that the strict policy refuses, and those whose outcome it changes. All others stay as they are.
    refused: set[str]
    edited: set[str]
    # What no caller may see behind the strict policy. It is seen behind the other.
    hidden: list[str]
    # Texts that the strict policy puts in place of others.
    shown: list[str] = field(default_factory=list)

    def strict_policy(self, directory: Path) -> Policy:
        """The strict policy of a run with this directory."""
        keys = json.loads(json.dumps(self.strict).replace("$DIRECTORY", str(directory)))
        return policy(**{"arguments": {}, "tools": {}, **keys})

    def each_step(self, side: str) -> Callable[[Test], Test]:
        """A test for each step with each client. What is known to differ is expected to fail."""
        names = [step["name"] for step in self.steps]
        assert len(set(names)) == len(names), names
        assert self.refused | self.edited <= set(names), (self.refused | self.edited) - set(names)
        cells = [
            pytest.param(client, step["name"], marks=self._known(side, client, step["name"]))
            for client in CLIENTS
            for step in of_client(self.steps, client)
        ]
        return pytest.mark.parametrize(("client", "step"), cells)

    def _known(self, side: str, client: str, step: str) -> list[pytest.MarkDecorator]:
        found = [
            each
            for each in KNOWN_DIFFERENCES
            if (each.server, each.step) == (self.name, step) and side in each.policies and client in each.clients
        ]
        return [pytest.mark.xfail(reason=f"{each.id}: {each.reason}", strict=True) for each in found]


class Field:
    """A running server with the filter before it, and the runs so far."""

    def __init__(self, subject: Subject, directory: Path, port: int, envoy: Envoy) -> None:
        self.subject, self.directory, self.port, self.envoy = subject, directory, port, envoy
        self.runs: dict[tuple[str, str], Run] = {}

    def works_behind_allow_all(self, client: str, step: str) -> None:
        """The outcome behind the filter is that without it."""
        direct = self.outcome(DIRECT, client, step)
        assert "failed" not in direct, direct
        assert self.outcome(ALLOW_ALL, client, step) == direct

    def is_as_the_strict_policy_says(self, client: str, step: str) -> None:
        """Refused, edited, or the same."""
        direct = self.outcome(DIRECT, client, step)
        strict = self.outcome(STRICT, client, step)
        if step in self.subject.refused:
            assert not _worked(strict), strict
        elif step in self.subject.edited:
            assert _worked(direct) and _worked(strict), (direct, strict)
            assert strict != direct
        else:
            assert strict == direct

    def hides(self, client: str) -> None:
        """What the strict policy hides is nowhere in what the client received, unless it had sent it itself."""
        open_to_all = everything_said(self.run(ALLOW_ALL, client).wire)
        assert not [text for text in self.subject.hidden if text not in open_to_all]
        strict = self.run(STRICT, client)
        said = everything_said(strict.wire)
        assert not [text for text in self.subject.shown if text not in said]
        outcomes = {name: json.dumps(outcome) for name, outcome in strict.outcomes.items()}
        for text in self.subject.hidden:
            sent_by = {step["name"] for step in self.subject.steps if text in json.dumps(step)}
            assert sent_by or text not in said, text
            assert not [name for name, outcome in outcomes.items() if text in outcome and name not in sent_by], text

    def outcome(self, side: str, client: str, step: str) -> Outcome:
        """What came of a step, without what differs from run to run."""
        outcome: Outcome = normal(self.run(side, client).outcomes[step])
        return outcome

    def run(self, side: str, client: str) -> Run:
        """All steps, taken once."""
        if (side, client) not in self.runs:
            self.subject.server.prepare(self.directory)
            port = self.port if side == DIRECT else self.envoy.ports[side]
            token = None if side == DIRECT else tokens.support()
            steps = placed(of_client(self.subject.steps, client), str(self.directory))
            roots = [{"uri": f"file://{self.directory}", "name": "field"}]
            take = python_client.run if client == PYTHON else _typescript
            self.runs[side, client] = take(f"http://127.0.0.1:{port}/mcp", token, steps, roots)
        return self.runs[side, client]


def _typescript(url: str, token: str | None, steps: list[Step], roots: list[dict[str, str]]) -> Run:
    program = Process(NODE, HERE / "node/client.js")
    try:
        given = {"url": url, "token": token, "steps": steps, "roots": roots, "stepLimitS": STEP_LIMIT_S}
        out, _ = program.process.communicate(json.dumps(given) + "\n")
        return Run(**json.loads(out))
    finally:
        program.close()


def _worked(outcome: Outcome) -> bool:
    result = outcome.get("result")
    return isinstance(result, dict) and not result.get("isError")
