"""Other people approve calls: real browsers, official clients, two replicas in both versions of Envoy, and etcd."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ..clients.kinds import KINDS, Kind
from ..clients.program import Failed, Program
from ..harness import web
from ..harness.envoy import ROOT
from ..harness.envoy_config import Listener
from ..harness.messages import LEGACY as LEGACY_2025
from ..harness.messages import call, post
from ..harness.waiting import eventually
from . import hooks
from .assistant import LEGACY, MODERN, Assistant
from .browser import PHONE, Person
from .connect import text
from .look import look
from .replicas import NAMES, RECORD as RECORDS, Replicas, Site
from .sign_in import Visitor, agree
from .sites import ETCD, signs_in
from .stage import Stage

TOOL = "crm.get_customer"
PAGE = "/.mcp-auth/approvals"
APPROVE, DENY, OTHER = "Approve once", "Deny", "Sign in as another user"

ROLES = {"support": {"tools": ["crm.*"]}, "manager": {"extends": ["support"]}}
HOOK_KEY = "HOOK_KEY"


def approving(cluster: str, notify: dict[str, Any] | None = None, **changes: Any) -> Site:
    """A site with a tool whose calls another person has to approve."""

    def site(stage: Stage, url: str) -> Listener:
        confirm: dict[str, Any] = {"by": {"role": "manager"}, "valid_for": "10m"}
        if notify:
            confirm["notify"] = notify
        about = stage.policy(url, **{"store": ETCD, "roles": ROLES, "tools": {TOOL: {"confirm": confirm}}, **changes})
        about["issuers"][0]["sign_in"] = signs_in(stage, url)
        about["issuers"][0]["identity"]["organization"] = "org_id"
        return Listener(about, cluster, environment={HOOK_KEY: hooks.SECRET} if notify else None)

    return site


NOTIFY = {"cluster": "hooks", "path": hooks.PATH, "key_env": HOOK_KEY}

SITES = {
    "sessions": approving("notes"),
    "stateless": approving("notes_stateless"),
    "memory": approving("notes_stateless", store="memory"),
    "hooks": approving("notes_stateless", NOTIFY),
}
VERSIONS = {"b": "1.36"}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def waits(client: Assistant, customer: str = "acme") -> str:
    """What a call that waits is answered with."""
    result = client.call(TOOL, customer=customer)
    said = text(result)
    assert result.is_error and "waits for approval" in said, said
    return said


def passes(client: Assistant, customer: str = "acme") -> bool:
    """Whether a call reaches the server, and the server reads what was to be read."""
    result = client.call(TOOL, customer=customer)
    return not result.is_error and result.structured_content == {"customer": customer}


def reached(stage: Stage) -> int:
    """How many calls reached the server without sessions."""
    return sum(each.get("mcp-method") == "tools/call" for each in stage.stateless.headers)


def open_page(pair: Replicas, site: str, person: Person, user: str) -> str:
    """Open the page and sign in if that is asked for; what it says."""
    person.goto(pair.origin(site) + PAGE)
    agree(person, user)
    return person.text()


def answer(person: Person, button: str) -> None:
    """Press a button, and go where that leads: over the issuer, back to the list."""
    person.run(person.page.get_by_role("button", name=button).first.click())
    person.run(person.page.wait_for_url(lambda url: "done=" in url or "signed-in" in url))


def approve(pair: Replicas, site: str, person: Person, user: str) -> None:
    """The whole way, up to the list that says it is done."""
    open_page(pair, site, person, user)
    answer(person, APPROVE)
    assert "You approved the call" in person.text(), person.text()


def told_of(pair: Replicas, replica: str) -> list[dict[str, Any]]:
    """The records with the id of the last call that passed at this replica, in their order."""
    records = [RECORDS.findall(pair.envoys[name].access_path.read_text()) for name in (replica, *NAMES)]
    own, *all_of = [[json.loads(line) for line in each] for each in records]
    passed = [each for each in own if each["reason"] == "allowed" and "approval" in each]
    if not passed:
        return []
    order = ["approval_needed", "call_approved", "call_denied", "allowed"]
    found = [each for part in all_of for each in part if each.get("approval") == passed[-1]["approval"]]
    return sorted(found, key=lambda each: order.index(each["reason"]))


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
@pytest.mark.parametrize(("first", "second"), [NAMES, NAMES[::-1]], ids="-".join)
def test_another_person_approves_a_call_at_any_replica(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str, first: str, second: str
) -> None:
    front, erin = pair.fronts["sessions"], person()
    front.use(first)
    client = assistant("dana", "sessions", mode)
    said = waits(client, "Acme-Corporation")
    assert "`manager`" in said and PAGE in said and "within 10 minutes" in said
    front.use(second)
    page = open_page(pair, "sessions", erin, "erin")
    for part in (TOOL, "dana", '"customer": "Acme-Corporation"', "Time left", "acme"):
        assert part in page, page
    with pair.logs("call_approved"):
        answer(erin, APPROVE)
    assert "You approved the call" in erin.text() and "No call waits" in erin.text()
    front.use(first)
    with pair.logs("allowed"):
        assert passes(client, "Acme-Corporation")
    told = lambda: told_of(pair, first)  # noqa: E731
    eventually(lambda: [each["reason"] for each in told()][::2] == ["approval_needed", "allowed"], "three records", told)
    asked, approved, record = told()
    assert asked["decision"] == "needs_review" and len(asked["approval"]) == 16
    assert approved["reason"] == "call_approved"
    assert {"source": "approval", "summary": "another person with the role `manager` allowed it"} in record["evidence"]
    assert record["approver"] == approved["enduser.id"] != record["enduser.id"]
    assert approved["requester"] == record["enduser.id"] == asked["enduser.id"]
    front.use(second)
    waits(client, "Acme-Corporation")
    assert "Acme-Corporation" not in pair.log() and "form=" not in pair.log()
    assert not any(b"Acme-Corporation" in value for value in around.etcd.entries().values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.name)
def test_official_clients_hear_that_a_call_waits_and_then_call_once(
    around: Stage, pair: Replicas, person: People, tmp_path: Path, kind: Kind
) -> None:
    pair.fronts["sessions"].use("a")
    options = {"url": pair.url("sessions"), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    client = Program(kind, options, Visitor(person(), "dana"), tmp_path / "client.log")
    try:
        assert client.connect() == kind.protocol
        with pytest.raises(Failed, match="waits for approval"):
            client.call(TOOL, customer="acme")
        approve(pair, "sessions", person(), "erin")
        assert json.loads(client.call(TOOL, customer="acme")) == {"customer": "acme"}
        with pytest.raises(Failed, match="waits for approval"):
            client.call(TOOL, customer="acme")
    finally:
        client.close()


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a_denial_is_heard_once(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    pair.fronts["stateless"].use()
    client, erin = assistant("dana", "stateless", mode), person()
    around.stateless.reset()
    waits(client)
    open_page(pair, "stateless", erin, "erin")
    with pair.logs("call_denied") as denied:
        answer(erin, DENY)
    assert "You denied the call" in erin.text() and denied[-1]["decision"] == "blocked"
    with pair.logs("approval_denied") as heard:
        said = text(client.call(TOOL, customer="acme"))
    assert "was not approved" in said
    assert heard[-1]["approver"] == denied[-1]["enduser.id"]
    waits(client)
    assert not reached(around)


def b44_of_many_equal_calls_an_approval_allows_one(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana", "stateless")
    waits(assistant("dana", "stateless", MODERN, held))
    approve(pair, "stateless", person(), "erin")
    around.stateless.reset()
    sent = post(call(LEGACY_2025, TOOL, {"customer": "acme"}), held, LEGACY_2025)
    names = [(name, str(value)) for name, value in sent.headers]

    def send(number: int) -> bool:
        url = f"http://127.0.0.1:{pair.envoys[NAMES[number % 2]].ports['stateless']}/mcp"
        answered = web.post(url, content=sent.body, headers=names)
        return '"customer":"acme"' in answered.text.replace(" ", "")

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(16))) == [False] * 15 + [True]


def test_a9_an_approval_is_for_one_caller_client_and_arguments(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana", "stateless")
    client = assistant("dana", "stateless", MODERN, held)
    waits(client)
    approve(pair, "stateless", person(), "erin")
    waits(client, "globex")
    waits(client, "acme ")
    # Another client of the same user, and another user.
    waits(assistant("dana", "stateless"))
    waits(assistant("erin", "stateless"))
    assert passes(client)


def test_a9_people_who_may_not_approve_see_and_do_nothing(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    around.stateless.reset()
    client = assistant("dana", "stateless")
    waits(client, "Acme-Corporation")
    waits(assistant("erin", "stateless"), "Own-Corporation")
    with pair.logs("approver_not_allowed"):
        page = open_page(pair, "stateless", person(), "dana")
    assert "You approve no calls here" in page and "Acme" not in page
    page = open_page(pair, "stateless", person(), "olga")
    assert "No call waits" in page and "globex" in page and "Acme" not in page
    erin, other = person(), person()
    page = open_page(pair, "stateless", erin, "erin")
    assert "One call waits" in page and "Own-Corporation" not in page
    # The role is taken away while the page is open.
    around.give_role("erin", "support")
    with pair.logs("approver_not_allowed") as records:
        answer(erin, APPROVE)
    assert records[0]["gen_ai.tool.name"] == TOOL and "cannot answer" in erin.text()
    waits(client, "Acme-Corporation")
    # Other browsers, and other sites.
    around.give_role("erin", "manager")
    erin = person()
    open_page(pair, "stateless", erin, "erin")
    form = erin.run(erin.page.locator("input[name=form]").first.get_attribute("value"))
    open_page(pair, "stateless", other, "olga")
    for thief, at, reason in [
        (other, pair.origin("stateless") + PAGE, "form_invalid"),
        (person(), pair.origin("stateless") + "/.mcp-auth/x", "not_signed_in"),
        (erin, f"{around.login.issuer}/.well-known/openid-configuration", "origin_not_allowed"),
    ]:
        thief.goto(at)
        with pair.logs(reason):
            submit(thief, pair.origin("stateless") + PAGE, {"form": form or "", "answer": "yes"})
    waits(client, "Acme-Corporation")
    assert not reached(around)


def test_a9_the_caller_cannot_approve_its_own_call_with_the_role(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin = assistant("erin", "stateless"), person()
    waits(client)
    assert "No call waits" in open_page(pair, "stateless", erin, "erin")
    # A form for the call of another user does not open another question.
    waits(client)


def test_a_second_person_finds_a_call_that_was_answered(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin, second = assistant("dana", "stateless"), person(), person()
    waits(client)
    open_page(pair, "stateless", erin, "erin")
    open_page(pair, "stateless", second, "erin")
    answer(erin, DENY)
    with pair.logs("question_closed"):
        answer(second, APPROVE)
    assert "does not wait for an answer any more" in second.text()
    assert "was not approved" in text(client.call(TOOL, customer="acme"))


def test_open_calls_are_bounded(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    client = assistant("dana", "stateless")
    for number in range(8):
        waits(client, f"customer-{number}")
    with pair.logs("approvals_full"):
        result = client.call(TOOL, customer="customer-8")
    assert result.is_error and "too many calls wait" in text(result)
    assert "8 calls wait" in open_page(pair, "stateless", person(), "erin")


def test_the_memory_of_one_proxy_is_enough(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    for replica in NAMES:
        pair.fronts["memory"].use(replica)
        client = assistant("dana", "memory")
        waits(client)
        approve(pair, "memory", person(), "erin")
        assert passes(client)
        waits(client)
    pair.fronts["memory"].use()


def test_without_the_store_no_call_is_approved(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("dana", "stateless")
    client, erin = assistant("dana", "stateless", MODERN, held), person()
    waits(client)
    open_page(pair, "stateless", erin, "erin")
    around.stateless.reset()
    around.etcd.close()
    try:
        erin.run(erin.page.get_by_role("button", name=APPROVE).first.click())
        erin.run(erin.page.wait_for_url(lambda url: "signed-in" in url))
        assert "does not work at the moment" in erin.text()
        sent = post(call(LEGACY_2025, TOOL, {"customer": "acme"}), held, LEGACY_2025)
        names = [(name, str(value)) for name, value in sent.headers]
        url = f"http://127.0.0.1:{pair.envoys['a'].ports['stateless']}/mcp"
        assert web.post(url, content=sent.body, headers=names).status_code == 503
    finally:
        around.etcd.start()
    assert not reached(around)


@pytest.mark.parametrize("replica", NAMES)
def test_the_webhook_gets_a_signed_message_without_arguments(
    around: Stage, pair: Replicas, person: People, assistant: Start, replica: str
) -> None:
    pair.fronts["hooks"].use(replica)
    # It fails at first, and is tried again. The caller does not wait for that.
    around.hooks.statuses = [500]
    client = assistant("dana", "hooks")
    began = time.monotonic()
    waits(client, "Acme-Corporation")
    assert time.monotonic() - began < 5
    eventually(lambda: len(around.hooks.messages) == 2, "two messages", lambda: around.hooks.messages)
    first, second = around.hooks.messages
    assert first == second and hooks.is_signed(first) and first.path == hooks.PATH
    assert "Acme-Corporation" not in first.body and "arguments" not in first.body
    told = json.loads(first.body)["data"]
    assert (told["user"], told["organization"], told["tool"], told["role"]) == ("dana", "acme", TOOL, "manager")
    assert told["url"] == pair.origin("hooks") + PAGE
    ids = lambda: {each.get("approval") for each in pair.records() if each["reason"] == "approval_needed"}  # noqa: E731
    eventually(lambda: told["id"] in ids(), "the log has the id", ids)
    # The same call asks nothing new.
    waits(client, "Acme-Corporation")
    # A webhook that does not answer keeps no caller waiting.
    with around.hooks.held(hooks.PATH):
        began = time.monotonic()
        waits(client, "slow")
        eventually(lambda: len(around.hooks.messages) == 3, "one more message", lambda: around.hooks.messages)
        assert time.monotonic() - began < 4
    # A webhook that fails does not let the call pass, and does not stop an approval.
    around.hooks.statuses = [500, 404, 302]
    waits(client, "other")
    expected = "the webhook at cluster `hooks` got no message"
    eventually(lambda: len(around.hooks.messages) == 6, "three more messages", lambda: around.hooks.messages)
    eventually(lambda: expected in pair.envoys[replica].log(), "the log says so", pair.log)
    erin = person()
    assert "3 calls wait" in open_page(pair, "hooks", erin, "erin")
    waits(client, "other")
    for _ in range(3):
        answer(erin, APPROVE)
    assert passes(client, "other") and passes(client, "Acme-Corporation")
    pair.fronts["hooks"].use()


def test_a_keyboard_is_enough(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    client, erin = assistant("dana", "stateless"), person(java_script_enabled=False)
    waits(client)
    open_page(pair, "stateless", erin, "erin")
    keyboard = erin.page.keyboard
    # The buttons wait for a second.
    time.sleep(1.2)
    focused = erin.page.locator(":focus")
    for _ in range(10):
        erin.run(keyboard.press("Tab"))
        if erin.run(focused.inner_text()) == APPROVE:
            break
    erin.run(keyboard.press("Enter"))
    erin.run(erin.page.wait_for_url(lambda url: "done=yes" in url))
    assert passes(client)


WINDOWS = [(name, size) for name, size in (("phone", PHONE), ("desktop", {"width": 1280, "height": 800}))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), WINDOWS, ids=[name for name, _ in WINDOWS])
def test_axe_finds_nothing_on_phones_and_desktops_in_light_and_dark(
    around: Stage, pair: Replicas, person: People, assistant: Start, name: str, size: Any, scheme: str
) -> None:
    long = "W" * 300 + " </pre><script>document.title='owned'</script> \u202e\u200b " + "lorem ipsum " * 40
    client = assistant("dana", "stateless")
    waits(client)
    waits(client, long)
    for user, title in [("erin", "Calls that wait for approval"), ("dana", "You approve no calls here")]:
        each = person(viewport=size, color_scheme=scheme)
        open_page(pair, "stateless", each, user)
        look(each, title, f"approvals-{user}-{name}-{scheme}")
        if user == "erin":
            assert "\\u202e\\u200b" in each.text()
            answer(each, APPROVE)
            look(each, title, f"approved-{name}-{scheme}")
            each.click(OTHER)


def submit(person: Person, page: str, fields: dict[str, str]) -> None:
    """Send a form from the page the browser is at, whatever that page's own policy says."""
    make = """([page, fields]) => {
        const form = Object.assign(document.createElement('form'), {method: 'post', action: page})
        for (const [name, value] of Object.entries(fields)) {
            form.append(Object.assign(document.createElement('input'), {type: 'hidden', name, value}))
        }
        document.body.append(form)
        form.submit()
    }"""

    async def send() -> None:
        async with person.page.expect_navigation():
            await person.page.evaluate(make, [page, fields])

    person.run(send())
