"""A refresh goes on when its replica ends, and its result is not lost when etcd ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from ..harness import web
from ..harness.messages import MODERN as OF_2026
from ..harness.messages import call, post
from ..harness.waiting import PATIENCE_S, eventually
from . import links
from .assistant import Assistant
from .browser import Person
from .connect import asked, connect
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas
from .sign_in import agree
from .sites import notes
from .stage import Stage

SITES = {
    "notes": notes(client={"access_token_lifetime": 5}),
    "several": notes(client={"access_token_lifetime": 5}, connection={"accounts": 2}, auth_tools=True),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def ask(pair: Replicas, held: str, site: str = "notes") -> tuple[int, str]:
    """The answer to a call, whatever it is."""
    sent = post(call(OF_2026, "notes.list"), held, OF_2026)
    headers = [(name, str(value)) for name, value in sent.headers]
    answer = web.post(pair.url(site), content=sent.body, headers=headers, timeout=PATIENCE_S)
    return answer.status_code, answer.text


def locked(around: Stage) -> bool:
    """Whether a lock is in the store."""
    return any(key.startswith(b"mcp-auth/l") for key in around.etcd.entries())


def linked(around: Stage, person: People, token: Callable[..., str], assistant: Start) -> tuple[str, Assistant]:
    """A client whose account is linked, and whose token has ended."""
    held = token("dana")
    client = assistant("dana", with_token=held)
    connect(person(), asked(client), "dana")
    [granted] = around.resource.grants("authorization_code")
    around.wait_until_refused(granted.answer["access_token"])
    return held, client


def test_a_replica_that_is_killed_in_a_refresh_costs_no_refusal(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held, _ = linked(around, person, token, assistant)
    pair.fronts["notes"].use("a")
    with ThreadPoolExecutor(1) as pool:
        around.resource.process.send_signal(signal.SIGSTOP)
        try:
            lost = pool.submit(ask, pair, held)
            eventually(lambda: locked(around), "the refresh has begun")
            time.sleep(0.5)
            pair.kill("a")
        finally:
            around.resource.process.send_signal(signal.SIGCONT)
        assert lost.exception(PATIENCE_S) is not None
    pair.fronts["notes"].use("b")
    begun = time.monotonic()
    try:
        status, text = ask(pair, held)
        assert time.monotonic() - begun < 15
    finally:
        pair.start("a")
    # Either the provider takes the token again, or the user is asked: the replica that ended may have spent it.
    assert status == 200, (status, text)
    assert ACCOUNTS["dana"] in text or "/.mcp-auth/connect?ticket=" in text
    # The next answer is the same, at once.
    begun = time.monotonic()
    assert ask(pair, held)[0] == 200 and time.monotonic() - begun < 3
    pair.fronts["notes"].use()


def test_tokens_that_etcd_did_not_keep_are_used_and_written_when_it_is_back(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held, _ = linked(around, person, token, assistant)
    origin, issuer = pair.origin("notes"), around.login.issuer
    client = links.client_of(held)
    before = links.account(around.etcd.entries(), origin, issuer, "dana", client)
    assert before is not None
    pair.fronts["notes"].use("a")
    with ThreadPoolExecutor(1) as pool:
        around.resource.process.send_signal(signal.SIGSTOP)
        try:
            waiting = pool.submit(ask, pair, held)
            eventually(lambda: locked(around), "the refresh has begun")
            time.sleep(0.5)
            around.etcd.process.kill()
            around.etcd.process.wait()
        finally:
            around.resource.process.send_signal(signal.SIGCONT)
        status, text = waiting.result(PATIENCE_S)
    # The call that waited has the new token.
    assert status == 200 and ACCOUNTS["dana"] in text, (status, text)
    assert ask(pair, held)[0] == 503
    time.sleep(2)
    around.etcd.start()

    def kept() -> bool:
        now = links.account(around.etcd.entries(), origin, issuer, "dana", client)
        return now is not None and now["refresh_token"] != before["refresh_token"]

    eventually(kept, "the new tokens are in etcd", pair.log)
    # The other replica goes on with them: one refresh token was never used twice.
    pair.fronts["notes"].use("b")
    status, text = ask(pair, held)
    assert status == 200 and ACCOUNTS["dana"] in text, (status, text)
    refreshed = around.resource.grants("refresh_token")
    used = [each.parameters["refresh_token"] for each in refreshed]
    assert len(used) == len(set(used)) and {each.status for each in refreshed} == {200}
    assert "a refreshed token could not be kept" in pair.log()
    pair.fronts["notes"].use()


@contextmanager
def refreshing(around: Stage, pair: Replicas, held: str) -> Iterator[Future[tuple[int, str]]]:
    """Inside, the provider does not answer to a refresh that has begun. The answer to its call."""
    [*_, granted] = around.resource.grants("authorization_code")
    around.wait_until_refused(granted.answer["access_token"])
    with ThreadPoolExecutor(1) as pool:
        around.resource.process.send_signal(signal.SIGSTOP)
        try:
            waiting = pool.submit(ask, pair, held, "several")
            eventually(lambda: locked(around), "the refresh has begun")
            time.sleep(0.3)
            yield waiting
        finally:
            around.resource.process.send_signal(signal.SIGCONT)


def test_the_user_chooses_another_account_during_a_refresh(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana", "several")
    client, dana = assistant("dana", "several", with_token=held), person()
    connect(dana, asked(client), "dana")
    page = lambda: client.call("auth_switch", connection="notes").structured_content["url"]  # noqa: E731
    dana.goto(page())
    dana.click("Use another account")
    dana.run(dana.page.wait_for_url(lambda url: "/interaction/" in url))
    agree(dana, ACCOUNTS["erin"])
    assert client.notes()["account"] == ACCOUNTS["erin"]
    # The page is open before the refresh begins.
    dana.goto(page())
    with refreshing(around, pair, held) as waiting:
        dana.click("Use this account")
    # The call goes on with the account that is current by now.
    status, text = waiting.result(PATIENCE_S)
    assert status == 200 and ACCOUNTS["dana"] in text, (status, text)
    # The account before lost nothing: it has the new tokens, at both replicas.
    dana.goto(page())
    dana.click("Use this account")
    for name in NAMES:
        pair.fronts["several"].use(name)
        status, text = ask(pair, held, "several")
        assert status == 200 and ACCOUNTS["erin"] in text, (status, text)
    pair.fronts["several"].use()
    refreshed = around.resource.grants("refresh_token")
    used = [each.parameters["refresh_token"] for each in refreshed]
    assert len(used) == len(set(used)) and {each.status for each in refreshed} == {200}
    assert not revocations(around)


def revocations(around: Stage) -> list[str]:
    """The tokens that the provider was asked to revoke."""
    around.resource.settle()
    asked = around.resource.requests
    return [each.parameters["token"] for each in asked if each.path == "/token/revocation"]
