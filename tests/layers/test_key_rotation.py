"""The key of `seal` is replaced while people work: two replicas, etcd, and one change of configuration after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..harness.envoy import Envoy
from ..harness.envoy_config import ENVIRONMENT, Listener
from ..harness.waiting import eventually
from . import links
from .assistant import LEGACY, MODERN, Assistant
from .browser import Person
from .connect import asked, connect
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas, Site
from .sites import notes
from .stage import Stage

OLD, NEW = ENVIRONMENT["MCP_AUTH_KEY"], "another secret of the tests, long enough"
VARIABLES = {"old": "MCP_AUTH_KEY", "new": "MCP_AUTH_KEY_2"}
OLD_ID, NEW_ID = (links.key_id(each.encode()) for each in (OLD, NEW))

People = Callable[..., Person]
Start = Callable[..., Assistant]


def rotating(**more: Any) -> Site:
    """A site whose policy stands in a file, with both keys in the environment."""

    def site(stage: Stage, url: str) -> Listener:
        listener = notes(**more)(stage, url)
        environment = {**ENVIRONMENT, VARIABLES["new"]: NEW}
        return replace(listener, file=Path("notes.filter.json"), environment=environment)

    return site


SITES = {"notes": rotating(client={"access_token_lifetime": 6})}


def seal(*keys: str) -> dict[str, Any]:
    """The section with these keys; the names of records come from the old one."""
    return {"keys": [{"env": VARIABLES[key]} for key in keys], "names_env": VARIABLES["old"]}


def loads(envoy: Envoy) -> int:
    """How many policies the replica took."""
    found = envoy.stats(r"^extension_config_discovery\.http_filter\..*\.update_success$")
    return sum(found.values())


def change(pair: Replicas, name: str, section: dict[str, Any]) -> None:
    """A replica gets this section, and no other change."""
    envoy, listener = pair.envoys[name], pair.placed[name]["notes"]
    before = loads(envoy)
    Envoy.change(listener, {**listener.policy, "seal": section})
    eventually(lambda: loads(envoy) > before, "the replica has the new configuration", envoy.log)


@pytest.fixture
def at_first(pair: Replicas) -> None:
    """Both replicas have the old key only, in the short form."""
    for name in NAMES:
        change(pair, name, {"key_env": VARIABLES["old"]})
    pair.fronts["notes"].use()


def used(pair: Replicas, pattern: str) -> dict[str, int]:
    """The counters of both replicas."""
    found: dict[str, int] = {}
    for envoy in pair.envoys.values():
        for name, count in envoy.stats(pattern).items():
            found[name] = found.get(name, 0) + count
    return found


@contextmanager
def working(clients: list[Assistant]) -> Iterator[list[Any]]:
    """Each client calls all the time. What is not as it should be is noted."""
    wrong: list[Any] = []
    over = threading.Event()

    def work(client: Assistant) -> None:
        while not over.is_set():
            try:
                account = client.notes()["account"]
                if account != ACCOUNTS["dana"]:
                    wrong.append(account)
            except BaseException as error:  # noqa: BLE001
                wrong.append(error)
                return

    threads = [threading.Thread(target=work, args=(each,)) for each in clients]
    for each in threads:
        each.start()
    try:
        yield wrong
    finally:
        over.set()
        for each in threads:
            each.join()


@pytest.mark.usefixtures("at_first")
def test_a_key_is_replaced_under_load_and_nothing_ends(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana")
    dana = person()
    # One with a session whose id is sealed, one without sessions; each has its own conversation.
    clients = [assistant("dana", mode=mode, with_token=held) for mode in (LEGACY, MODERN)]
    for client in clients:
        connect(dana, asked(client), "dana")
    steps = [seal("old", "new"), seal("new", "old")]
    with working(clients) as wrong:
        for number, step in enumerate(steps):
            for name in NAMES:
                change(pair, name, step)
                # Both settings are in force for some time, and tokens are refreshed meanwhile.
                time.sleep(3)
                assert not wrong, (number, name, wrong)
            if number == 1:
                # Whatever the old key sealed is used once, and then sealed with the new one.
                time.sleep(8)
                assert used(pair, rf"seal_older_key\.{OLD_ID}\.connection")
    # The id of the session is sealed with the old key, so the session ends with it. All else goes on.
    with working(clients[1:]) as wrong_at_last:
        for name in NAMES:
            change(pair, name, seal("new"))
        time.sleep(8)
    assert not wrong and not wrong_at_last
    linked = around.resource.grants("authorization_code")
    assert len(linked) == len(clients)
    refreshed = around.resource.grants("refresh_token")
    spent = [each.parameters["refresh_token"] for each in refreshed]
    assert len(spent) > len(steps) and len(spent) == len(set(spent))
    assert {each.status for each in refreshed} == {200}
    # What was used is sealed with the new key.
    of = (pair.origin("notes"), around.login.issuer, "dana", links.client_of(held), NEW.encode())
    assert links.account(around.etcd.entries(), *of)
    assert not used(pair, r"seal_unknown_key")
    lines = pair.log()
    assert f"`{NEW_ID}` ({VARIABLES['new']}) seals, and `{OLD_ID}` ({VARIABLES['old']}) open, too" in lines
    assert f"the key `{OLD_ID}` is still in use (connection)" in lines


@pytest.mark.usefixtures("at_first")
def test_a_removed_key_ends_what_it_sealed_and_says_so(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana")
    client = assistant("dana", with_token=held)
    connect(person(), asked(client), "dana")
    for name in NAMES:
        change(pair, name, seal("new"))
    link = asked(client)

    def said() -> bool:
        evidence = [each for record in pair.records() for each in record.get("evidence", [])]
        return any("a key that the policy does not have" in each["summary"] for each in evidence)

    # The first question of the test is logged with the same reason, maybe later.
    eventually(said, "the record names the missing key")
    counted = lambda: used(pair, r"seal_unknown_key\.connection")  # noqa: E731
    assert sum(eventually(counted, "the value is counted").values()) == 1
    assert not [value for value in around.etcd.entries().values() if b'"tokens' in value]
    # The user links the account again.
    connect(person(), link, "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]


@pytest.mark.usefixtures("at_first")
def test_another_secret_for_the_names_of_records_is_noticed(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    counted = lambda: used(pair, r"seal_unknown_key\.record_names")  # noqa: E731
    before = counted()
    held = token("dana")
    # A worker that loads a policy looks at the record, and writes it if it is not there.
    change(pair, "a", {"keys": [{"env": VARIABLES["old"]}]})
    eventually(lambda: len(around.etcd.checks()) == 1, "the record is there", around.etcd.checks)
    check = around.etcd.checks()
    pair.fronts["notes"].use("a")
    client = assistant("dana", with_token=held)
    connect(person(), asked(client), "dana")
    assert counted() == before and "another secret names the records" not in pair.log()
    # By mistake, one replica names records with the new key: it finds no account.
    change(pair, "b", {"keys": [{"env": VARIABLES["old"]}, {"env": VARIABLES["new"]}], "names_env": VARIABLES["new"]})
    eventually(lambda: counted() != before, "the other secret is counted", pair.log)
    assert "another secret names the records of the store" in pair.envoys["b"].log()
    assert "another secret names the records of the store" not in pair.envoys["a"].log()
    pair.fronts["notes"].use("b")
    assert asked(assistant("dana", with_token=held))
    assert around.etcd.checks() == check
    # The mistake is mended, and nothing is lost.
    change(pair, "b", {"keys": [{"env": VARIABLES["old"]}], "names_env": VARIABLES["old"]})
    assert assistant("dana", with_token=held).notes()["account"] == ACCOUNTS["dana"]
    pair.fronts["notes"].use()
