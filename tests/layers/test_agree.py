"""Users confirm calls on the filter's page: clients of every version, real browsers, two replicas and etcd."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from ..clients.kinds import KINDS, LEGACY as OF_2025, Kind
from ..clients.program import Failed, Program
from ..harness import web
from ..harness.envoy_config import Listener
from ..harness.messages import LEGACY as LEGACY_2025
from ..harness.messages import call, post
from ..harness.waiting import wait_until
from . import connect
from .agree_page import ALLOW, DENY, allow, asked, link_in, open_page
from .assistant import LEGACY, MODERN, Assistant
from .browser import PHONE, Person
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas
from .sign_in import Visitor
from .sites import ETCD, notes, signs_in
from .stage import Stage

TOOL = "crm.get_customer"
PICTURES = os.environ.get("MCP_AUTH_PICTURES")


def careful(cluster: str) -> Callable[[Stage, str], Listener]:
    """A site with a tool whose calls have to be allowed."""

    def site(stage: Stage, url: str) -> Listener:
        about = stage.policy(url, store=ETCD, tools={TOOL: {"confirm": True}})
        about["issuers"][0]["sign_in"] = signs_in(stage, url)
        return Listener(about, cluster)

    return site


SITES = {
    "sessions": careful("notes"),
    "stateless": careful("notes_stateless"),
    "both": notes(tools={"notes.add": {"connection": "notes", "confirm": True}}),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def passed(stage: Stage) -> int:
    """How many calls reached the server without sessions."""
    return sum(each.get("mcp-method") == "tools/call" for each in stage.stateless.headers)


def answers(client: Assistant, customer: str = "acme") -> bool:
    """Whether a call passes, and the server reads what was to be read."""
    try:
        return client.call(TOOL, customer=customer).structured_content == {"customer": customer}
    except MCPError:
        return False


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.name)
def test_official_clients_show_the_link_and_then_call_once(
    around: Stage, pair: Replicas, person: People, tmp_path: Path, kind: Kind
) -> None:
    pair.fronts["sessions"].use("a")
    options = {"url": pair.url("sessions"), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    erin = person()
    client = Program(kind, options, Visitor(erin, "erin"), tmp_path / "client.log")
    try:
        assert client.connect() == kind.protocol
        for _ in range(2):
            with pytest.raises(Failed) as failed:
                client.call(TOOL, customer="acme")
            assert failed.value.code == (-32042 if kind.protocol == OF_2025 else None)
            allow(erin, link_in(str(failed.value)), "erin")
            assert json.loads(client.call(TOOL, customer="acme")) == {"customer": "acme"}
    finally:
        client.close()


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def b44_a_confirmation_allows_one_call_at_any_replica(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    front, erin = pair.fronts["sessions"], person()
    front.use("a")
    client = assistant("erin", "sessions", mode)
    with pair.logs("confirmation_needed") as records:
        link = asked(client, TOOL, customer="Acme-Corporation")
    assert {each["decision"] for each in records} == {"needs_review"}
    front.use("b")
    with pair.logs("confirm_page_shown"):
        open_page(erin, link, "erin")
    text = erin.text()
    assert TOOL in text and '"customer": "Acme-Corporation"' in text and "erin" in text
    with pair.logs("confirmed") as records:
        erin.click(ALLOW)
    assert records[0]["gen_ai.tool.name"] == TOOL and records[0]["http.response.status_code"] == 303
    front.use("a")
    with pair.logs("allowed") as records:
        assert answers(client, "Acme-Corporation")
    evidence = records[-1]["evidence"]
    assert {"source": "user", "summary": "agreed to this call"} in evidence
    front.use("b")
    assert asked(client, TOOL, customer="Acme-Corporation")
    # Neither the log nor the store says what it was about.
    assert "Acme-Corporation" not in pair.log() and "ticket=" not in pair.log()
    assert not any(b"Acme-Corporation" in value for value in around.etcd.entries().values())


def b44_of_many_equal_calls_a_confirmation_allows_one(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("erin", "stateless")
    client = assistant("erin", "stateless", MODERN, held)
    allow(person(), asked(client, TOOL, customer="acme"), "erin")
    around.stateless.reset()
    sent = post(call(LEGACY_2025, TOOL, {"customer": "acme"}), held, LEGACY_2025)
    names = [(name, str(value)) for name, value in sent.headers]

    def send(number: int) -> bool:
        url = f"http://127.0.0.1:{pair.envoys[NAMES[number % 2]].ports['stateless']}/mcp"
        answer = web.post(url, content=sent.body, headers=names)
        return '"customer":"acme"' in answer.text.replace(" ", "")

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(16))) == [False] * 15 + [True]


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a_call_that_the_user_declines_is_refused(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    pair.fronts["stateless"].use()
    client, erin = assistant("erin", "stateless", mode), person()
    around.stateless.reset()
    open_page(erin, asked(client, TOOL, customer="acme"), "erin")
    with pair.logs("confirmation_declined") as records:
        erin.click(DENY)
    assert records[0]["gen_ai.tool.name"] == TOOL
    assert "You did not allow it" in erin.text()
    # The client hears of it once, and may ask again.
    with pytest.raises(MCPError, match="did not agree"):
        client.call(TOOL, customer="acme")
    assert asked(client, TOOL, customer="acme")
    assert not passed(around)


def test_a_form_that_is_sent_again_allows_no_second_call(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin = assistant("erin", "stateless"), person()
    link = asked(client, TOOL, customer="acme")
    open_page(erin, link, "erin")
    fields = hidden(erin)
    erin.click(ALLOW)
    erin.run(erin.page.reload())
    assert "You allowed it" in erin.text()
    assert answers(client)
    # The form once more: from the history, and as it was.
    erin.run(erin.page.reload())
    assert "You allowed it" in erin.text()
    erin.run(erin.page.go_back())
    submit(erin, pair.origin("stateless"), {**fields, "answer": "yes"})
    assert not answers(client)


def test_a_second_tab_can_take_a_confirmation_back_until_the_call(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin = assistant("erin", "stateless"), person()
    link = asked(client, TOOL, customer="acme")
    open_page(erin, link, "erin")
    fields = hidden(erin)
    erin.click(ALLOW)
    # The other tab takes it back, in time.
    erin.goto(pair.origin("stateless") + "/.mcp-auth/x")
    submit(erin, pair.origin("stateless"), {**fields, "answer": "no"})
    assert "You did not allow it" in erin.text()
    assert not answers(client)
    link = asked(client, TOOL, customer="acme")
    open_page(erin, link, "erin")
    fields = hidden(erin)
    erin.click(ALLOW)
    assert answers(client)
    with pair.logs("call_already_made"):
        erin.goto(pair.origin("stateless") + "/.mcp-auth/x")
        submit(erin, pair.origin("stateless"), {**fields, "answer": "no"})
    assert "made the call already" in erin.text()


def b42_another_user_who_opens_the_link_sees_no_call(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, dana = assistant("erin", "stateless"), person()
    link = asked(client, TOOL, customer="Acme-Corporation")
    with pair.logs("other_user"):
        connect.open_link(dana, link, "dana")
    assert "another user" in dana.text()
    assert "erin" not in dana.text() and TOOL not in dana.text() and "Acme" not in dana.text()
    assert not dana.has(ALLOW)
    assert not answers(client, "Acme-Corporation")


def b42_a_stolen_form_is_refused(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    client, erin = assistant("erin", "stateless"), person()
    origin = pair.origin("stateless")
    link = asked(client, TOOL, customer="acme")
    open_page(erin, link, "erin")
    stolen = {**hidden(erin), "answer": "yes"}
    # In another browser of erin's, in dana's, and in one where no user is signed in.
    other, dana, nobody = person(), person(), person()
    # The cookie of a sign-in holds the user and the second. Two sign-ins of one user in the same second have the
    # same cookie, and the form of one browser is valid in the other.
    wait_until(int(time.time()) + 1)
    open_page(other, link, "erin")
    connect.open_link(dana, link, "dana")
    nobody.goto(f"{origin}/.mcp-auth/x")
    for thief, reason in [(other, "form_invalid"), (dana, "other_user"), (nobody, "not_signed_in")]:
        with pair.logs(reason):
            submit(thief, origin, stolen)
    # From another site, in the very browser it is for.
    erin.goto(f"{around.login.issuer}/.well-known/openid-configuration")
    with pair.logs("origin_not_allowed"):
        submit(erin, origin, stolen)
    assert not answers(client)


def b24_a_confirmation_is_valid_for_its_call_and_session_only(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    held = token("erin", "sessions")
    first, second = (assistant("erin", "sessions", LEGACY, held) for _ in range(2))
    allow(person(), asked(first, TOOL, customer="acme"), "erin")
    assert asked(first, TOOL, customer="globex")
    assert asked(first, TOOL, customer="acme ")
    # Another conversation of the same user.
    assert asked(second, TOOL, customer="acme")
    assert answers(first)


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a_call_is_confirmed_before_an_account_is_linked(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    pair.fronts["both"].use()
    client, dana = assistant("dana", "both", mode), person()
    allow(dana, asked(client, "notes.add", text="milk"), "dana")
    connect.connect(dana, connect.asked(client, "notes.add", text="milk"), "dana")
    result = client.call("notes.add", text="milk")
    assert result.structured_content is not None and result.structured_content["account"] == ACCOUNTS["dana"]
    assert asked(client, "notes.add", text="milk")
    assert client.notes()["notes"] == ["milk"]


def test_without_the_store_no_call_can_be_confirmed(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, erin = assistant("erin", "stateless"), person()
    open_page(erin, asked(client, TOOL, customer="acme"), "erin")
    around.etcd.close()
    try:
        erin.click(ALLOW)
        assert "does not work at the moment" in erin.text()
        assert not answers(client)
    finally:
        around.etcd.start()


WINDOWS = [(name, size) for name, size in (("phone", PHONE), ("desktop", {"width": 1280, "height": 800}))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), WINDOWS, ids=[name for name, _ in WINDOWS])
def test_the_page_fits_phones_and_desktops_in_light_and_dark(
    around: Stage, pair: Replicas, person: People, assistant: Start, name: str, size: Any, scheme: str
) -> None:
    long = "W" * 300 + " </pre><script>document.title='owned'</script> \u202e\u200b " + "lorem ipsum " * 40
    client = assistant("erin", "stateless")
    erin = person(viewport=size, color_scheme=scheme)
    for which, customer in [("short", "acme"), ("long", long)]:
        open_page(erin, asked(client, TOOL, customer=customer), "erin")
        picture(erin, f"agree-{which}-{name}-{scheme}")
        # Nothing is wider than the window, and nothing ran.
        widths = erin.run(erin.page.evaluate("[document.documentElement.scrollWidth, innerWidth]"))
        assert widths[0] <= widths[1]
        assert erin.run(erin.page.title()) == "Allow this call?"
    assert "\\u202e\\u200b" in erin.text()
    erin.click(DENY if scheme == "dark" else ALLOW)
    picture(erin, f"agreed-{name}-{scheme}")


def picture(person: Person, name: str) -> None:
    """What the page looks like, where pictures are wanted."""
    if PICTURES:
        person.screenshot(Path(PICTURES, f"{name}.png"))


def hidden(person: Person) -> dict[str, str]:
    """The form's fields and their values as the page set them."""
    fields = "Object.fromEntries([...document.querySelectorAll('input')].map(each => [each.name, each.value]))"
    return person.run(person.page.evaluate(fields))


def submit(person: Person, origin: str, fields: dict[str, str]) -> None:
    """Send a form from the page the browser is at, whatever that page's own policy says."""
    page = f"{origin}/.mcp-auth/confirm"
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
