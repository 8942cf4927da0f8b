"""`make demo`: one honest conversation, then the attacks, with and without the filter.

Exits with 0 only if the honest calls worked, every attack worked against the server alone, and
every attack failed through the filter.
"""

import argparse
import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo import proxy
from demo.attacks import ACTIONS, DECIDED, LIES, MISTAKES, Attack
from demo.calls import Answer, Assistant, assistant
from demo.evidence import AccessLog, Decision, Received
from demo.honest import conversation, offered
from demo.people import DANA
from demo.show import Screen, data_in
from demo.stack import Stack, StartError, stopping_on_signals

# Each with its attacks: a title, and what to know first.
SCENES = [
    (
        "The model is led astray",
        (
            "Dana's model has read something that told it to go further. It makes each call twice: "
            "straight to the server, and through the filter. Stopped does not always mean refused: "
            "where an argument lied about who is calling, the truth is put in its place, and the "
            "call is approved."
        ),
        LIES,
    ),
    (
        "A policy outside says no",
        (
            "How much may be paid back is decided elsewhere: the filter asks a decision point (AuthZEN) about "
            "each refund, with the amount and no other argument, before the server sees the call."
        ),
        DECIDED,
    ),
    (
        "The server answers too much",
        (
            "Here no argument lies. The server forgets to look whom it answers: what reaches it is "
            "the same both ways, and the filter judges what comes back. The last call is made for "
            "Sam, who is a support agent."
        ),
        MISTAKES,
    ),
    (
        "The server acts for anybody",
        (
            "The model names a record by its number, and the server does not compare its owner. The "
            "filter asks the server whose record it is before the call: what reaches the server is "
            "the filter's own question. The table is the server's own record of what it did."
        ),
        ACTIONS,
    ),
]


@dataclass(frozen=True)
class Trace:
    """One call over one way: the answer, and what the CRM received."""

    answer: Answer
    received: str
    # What the server did, by its own audit table.
    done: str


@dataclass(frozen=True)
class Outcome:
    """One attack over both ways."""

    attack: Attack
    direct: Trace
    guarded: Trace
    decision: Decision | None

    @property
    def leaked(self) -> bool:
        """Whether it worked against the server alone."""
        acted = bool(self.direct.done) or not self.attack.acts
        return acted and self.attack.proof in self.direct.answer.text and self._got_in(self.direct)

    @property
    def stopped(self) -> bool:
        """Whether it failed through the filter: nothing came back, nothing got in, and why."""
        # What an honest call asks for may get in.
        lied = self.attack.smuggled is not None and self._got_in(self.guarded)
        acted = self.attack.acts and bool(self.guarded.done)
        return (
            self.attack.proof not in self.guarded.answer.text
            and not lied
            and not acted
            and self.decision is not None
            and self.attack.logged.items() <= self.decision.record.items()
        )

    def _got_in(self, trace: Trace) -> bool:
        return (self.attack.smuggled or self.attack.call.subject) in trace.received


async def tell(stack: Stack, mode: str, screen: Screen) -> bool:
    """Tells the whole story; true if it ended as it should."""
    screen.title("mcp-auth-filter: the model is a caller, not a source of truth")
    screen.say(
        "A CRM behind MCP serves two organizations, Acme and Globex. It believes the "
        "organization_id, user_id and role it is given. Envoy with the filter stands in front of "
        "it and believes only the token, signed by the issuer whose keys it fetched."
    )
    received, log = Received(stack.received), AccessLog(stack.placement.access_log)
    async with assistant(stack.guarded_url, stack.token(DANA), mode=mode) as dana:
        honest = await conversation(dana, received, log, screen)
    await offered(stack, mode, screen)
    outcomes: list[Outcome] = []
    for title, introduction, attacks in SCENES:
        screen.title(title)
        screen.say(introduction)
        for attack in attacks:
            outcome = await attempt(attack, stack, mode, received, log)
            outcomes.append(outcome)
            show(len(outcomes), outcome, screen)
    closed = without_token(stack, log, screen)
    return summary(honest, outcomes, closed, screen)


async def attempt(
    attack: Attack, stack: Stack, mode: str, received: Received, log: AccessLog
) -> Outcome:
    """Makes the attack's call both ways."""
    token = stack.token(attack.person)
    async with (
        assistant(stack.direct_url, token, mode=mode) as direct,
        assistant(stack.guarded_url, token, mode=mode) as guarded,
    ):
        log.skip()
        return Outcome(
            attack=attack,
            direct=await trace(attack, direct, received, stack.audit),
            guarded=await trace(attack, guarded, received, stack.audit),
            decision=log.decision(attack.call.method),
        )


async def trace(
    attack: Attack, caller: Assistant, received: Received, audit: Callable[[], list[str]]
) -> Trace:
    """Makes the attack's call one way."""
    received.skip()
    before = len(audit())
    answer = await caller.make(attack.call)
    return Trace(
        answer=answer,
        received=received.params(attack.call.method),
        done="\n".join(audit()[before:]),
    )


def show(number: int, outcome: Outcome, screen: Screen) -> None:
    """Prints an attack: sent, received, answered, decided."""
    attack, direct, guarded = outcome.attack, outcome.direct, outcome.guarded
    screen.attempt(number, attack.title)
    screen.json("sent", direct.answer.sent, before=f"{attack.call.method} ")
    rows = [
        ("the server received", direct.received or "nothing", guarded.received or "nothing"),
        *([("the server did", direct.done, guarded.done or "nothing")] if attack.acts else []),
        ("the model got back", data_in(direct.answer.text), data_in(guarded.answer.text)),
        ("", *verdicts(outcome)),
    ]
    screen.side_by_side(rows, showing=attack.proof)
    screen.decision(outcome.decision)


def verdicts(outcome: Outcome) -> tuple[str, str]:
    """How the attack ended, without and with the filter."""
    attack = outcome.attack
    direct = attack.damage if outcome.leaked else "FAILED: the attack does not work here"
    if outcome.stopped:
        return direct, "stopped"
    through = attack.proof in outcome.guarded.answer.text
    return direct, attack.damage if through else "FAILED: it was not the filter that stopped it"


def without_token(stack: Stack, log: AccessLog, screen: Screen) -> bool:
    """A request without a token gets a challenge that tells the client where to sign in."""
    screen.title("And without a token")
    screen.say("A client without a token asks for the list of tools:\n")
    log.skip()
    request = urllib.request.Request(
        stack.guarded_url,
        data=b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
        headers={
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, challenge = answer.status, ""
    except urllib.error.HTTPError as refusal:
        status, challenge = refusal.code, refusal.headers.get("www-authenticate", "")
    screen.lines("answered", [f"HTTP {status}", f"www-authenticate: {challenge}"])
    screen.decision(log.decision(None))
    return status == 401 and "resource_metadata=" in challenge


def summary(honest: bool, outcomes: list[Outcome], closed: bool, screen: Screen) -> bool:
    """The table at the end; true if everything ended as it should."""
    screen.title("Summary")
    rows = [["Dana's own work", "-", "ok" if honest else "FAILED"]]
    rows += [[outcome.attack.title, *verdicts(outcome)] for outcome in outcomes]
    rows.append(["a client without a token", "-", "stopped" if closed else "LEAKED"])
    screen.table(["", "server alone", "with the filter"], rows)
    leaked = sum(outcome.leaked for outcome in outcomes)
    stopped = sum(outcome.stopped for outcome in outcomes)
    screen.say(
        f"{leaked} of {len(outcomes)} attacks work against the server alone, "
        f"{stopped} of {len(outcomes)} are stopped by the filter."
    )
    return honest and closed and leaked == stopped == len(outcomes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", type=Path, default=proxy.MODULE_FILE, help="the built filter")
    parser.add_argument("--mode", default="auto", help="auto, legacy, or a protocol version")
    parser.add_argument("--style", choices=("json", "sse"), default="json", help="answer style")
    parser.add_argument(
        "--directory", type=Path, default=proxy.ROOT / ".demo", help="where `story` is made anew"
    )
    parser.add_argument(
        "--without-filter", action="store_true", help="Envoy alone: shows that the demo can fail"
    )
    args = parser.parse_args()
    screen = Screen()
    directory = args.directory / "story"
    adapt = proxy.without_filter if args.without_filter else None
    try:
        with (
            stopping_on_signals(),
            Stack(
                directory, style=args.style, module=args.module, adapt=adapt, decides=True
            ) as stack,
        ):
            told = asyncio.run(tell(stack, args.mode, screen))
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        screen.say(f"Logs, received requests and Envoy's configuration are in {directory}.")
    return 0 if told else 1


if __name__ == "__main__":
    sys.exit(main())
