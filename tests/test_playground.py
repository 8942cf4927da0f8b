"""The playground in a browser: the page that `make playground` builds, opened from the disk."""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo.attacks import LIES, MISTAKES, Attack
from demo.examples import EXAMPLES, examples

from .harness.command_line import command, mcp_auth
from .harness.envoy import ROOT
from .layers.browser import PHONE, Chromium, Person

PAGE = ROOT / "target/playground/index.html"
AXE = ROOT / "playground/node_modules/axe-core/axe.min.js"
DESK = {"width": 1280, "height": 900}

POLICY = """\
resource: http://127.0.0.1:10000/mcp
local: {user: me, organization: org-acme, roles: [reader]}
roles:
  reader: {tools: ["crm.get_*"]}
arguments:
  organization_id: {set: organization}
seal: {key_env: MCP_AUTH_KEY}
"""
CALL = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "crm.get_x", "arguments": {"organization_id": "org-globex"}},
    }
)


class Playground:
    """The page, as a user sees it."""

    def __init__(self, person: Person, link: str) -> None:
        self.person = person
        self.requests: list[str] = []
        self.errors: list[str] = []
        person.on("request", lambda request: self.requests.append(request.url))
        person.on("pageerror", lambda error: self.errors.append(str(error)))
        person.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.open(link)

    def open(self, link: str) -> None:
        """Open a link in a new document."""
        self.person.run(self.person.page.goto("about:blank"))
        self.person.run(self.person.page.goto(link))
        self.judged()

    def judged(self) -> None:
        """Wait for the decision about the fields as they are."""
        self.person.run(self.person.page.wait_for_selector("body[data-state=judged]"))

    def js(self, script: str, argument: Any = None) -> Any:
        """The value of a function in the page."""
        return self.person.run(self.person.page.evaluate(script, argument))

    def example(self, number: int) -> None:
        """Choose an example."""
        self.person.run(self.person.page.select_option("#example", str(number)))
        self.judged()

    def write(self, editor: str, text: str) -> None:
        """Replace the text of an editor, by pasting."""
        content = self.person.page.locator(f"#{editor} .cm-content")
        self.person.run(content.press("Control+A"))
        script = """(content, text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            content.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }"""
        self.person.run(content.press("Delete"))
        if text:
            self.person.run(content.evaluate(script, text))
        self.judged()

    def text(self, editor: str) -> str:
        """The text of an editor."""
        lines = self.person.page.locator(f"#{editor} .cm-line")
        return "\n".join(self.person.run(lines.all_text_contents()))

    def verdict(self) -> tuple[str, str]:
        """The decision and its reason."""
        line = self.person.page.locator("#verdict .verdict")
        name = self.person.run(line.get_attribute("data-verdict"))
        return name or "", self.person.run(line.get_attribute("data-reason")) or ""

    def part(self, name: str) -> str:
        """A part of the decision, without the text that was taken out. Empty: it is not there."""
        script = """name => {
            const part = document.querySelector(`#outcome [data-part="${name}"]`)?.cloneNode(true);
            part?.querySelectorAll("del").forEach(gone => gone.remove());
            return part?.textContent ?? "";
        }"""
        return str(self.js(script, name))

    def record(self) -> dict[str, Any]:
        """The access-log record."""
        record: dict[str, Any] = json.loads(self.part("record"))
        return record

    def shown(self, selector: str) -> str:
        """The text of an element that is to be seen. Empty: it is hidden."""
        found = self.person.page.locator(selector)
        return self.person.run(found.inner_text()) if self.person.run(found.is_visible()) else ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """A browser."""
    assert PAGE.exists(), "run `make playground` first"
    with closing(Chromium()) as running:
        yield running


@pytest.fixture
def playground(browser: Chromium) -> Iterator[Callable[..., Playground]]:
    """Opens the page; options are Playwright's."""
    came: list[Playground] = []

    def come(link: str = PAGE.as_uri(), **options: object) -> Playground:
        came.append(Playground(browser.person(**{"viewport": DESK, **options}), link))
        return came[-1]

    yield come
    for each in came:
        assert each.errors == []
        each.person.close()


def test_each_example_ends_as_in_the_demo(playground: Callable[..., Playground]) -> None:
    page = playground()
    attacks = [*LIES, *MISTAKES]
    assert len(attacks) == 13
    for number, attack in enumerate(attacks):
        page.example(number)
        is_stopped(page, attack)
    page.example(len(attacks))
    assert page.verdict() == ("needs_review", "no_token")
    assert "resource_metadata=" in page.part("headers")


def is_stopped(page: Playground, attack: Attack) -> None:
    """The test of the demo: nothing got in, nothing comes back, and the record says why."""
    decision, _ = page.verdict()
    body, received = page.part("body"), page.part("received")

    if attack.smuggled:
        assert attack.smuggled not in body, attack.title
        assert decision == "blocked" or body, attack.title
    assert attack.proof not in received, attack.title
    assert attack.logged.items() <= page.record().items(), attack.title


def test_the_examples_are_made_of_the_demo() -> None:
    assert json.loads(EXAMPLES.read_text()) == examples(command()), "run `make examples`"


def test_the_page_decides_as_the_command_line(playground: Callable[..., Playground], tmp_path: Path) -> None:
    page = playground()
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "request.json").write_text(CALL)
    page.write("claims", "")
    page.write("answer", "")
    page.write("request", CALL)
    page.write("policy", POLICY)
    explained = json.loads(
        mcp_auth("explain", "--policy", "policy.yaml", "--request", "request.json", "--json", directory=tmp_path)
    )
    assert page.record() == explained["record"]
    assert json.loads(page.part("body")) == json.loads(explained["forward"]["body"])
    assert page.verdict() == ("approved", "allowed")


def test_all_mistakes_are_marked_with_their_lines(playground: Callable[..., Playground]) -> None:
    page = playground()
    page.write("policy", POLICY.replace("roles:\n", "rolls:\n").replace("{set: organization}", "{set: organisation}"))
    lines = page.js("() => [...document.querySelectorAll('#mistakes li')].map(each => Number(each.dataset.line))")
    assert lines == [2, 3, 6]
    marked = page.person.page.locator("#policy .cm-lintRange-error")
    assert page.person.run(marked.all_text_contents()) == ["reader", "rolls", "organisation"]
    assert "does not load" in page.shown("#verdict")
    page.person.run(page.person.page.get_by_role("button", name="Line 6, column").click())
    assert page.js("() => document.querySelector('#policy').shadowRoot.activeElement?.ariaLabel") == "Policy, in YAML"
    page.write("policy", POLICY + "roles: {}\n")
    assert "Line 8" in page.shown("#mistakes")


def test_a_problem_is_shown_at_its_field(playground: Callable[..., Playground]) -> None:
    page = playground()
    page.write("claims", '{"sub": "a", "sub": "b"}')
    assert "duplicate key" in page.shown("#claims-problem")
    page.example(0)
    page.person.run(page.person.page.get_by_text("Headers and time").click())
    page.person.fill("Headers that replace those of a client, one in each line", "Authorization: Bearer x")
    page.judged()
    assert "made of the claims" in page.shown("#headers-problem")
    page.person.fill("Headers that replace those of a client, one in each line", "mcp-protocol-version: 2026-07-28")
    page.judged()
    assert page.verdict()[1] == "protocol_meta_missing"
    page.person.fill("Headers that replace those of a client, one in each line", "")
    page.person.fill("Time in UTC. Empty: the time of this machine", "tomorrow")
    page.judged()
    assert "Not a time" in page.shown("#now-problem")
    page.write("claims", '{"sub": "u-dana", "exp": 1767225600}')
    page.person.fill("Time in UTC. Empty: the time of this machine", "2026-06-01T00:00:00Z")
    page.judged()
    assert page.verdict()[1] == "token_expired"


def test_one_of_several_policies_is_chosen(playground: Callable[..., Playground]) -> None:
    page = playground()
    policies = [
        {
            "resource": f"http://127.0.0.1:10000/{name}",
            "local": {"user": "me", "roles": ["reader"]},
            "roles": {"reader": {"tools": tools}},
            "seal": {"key_env": "MCP_AUTH_KEY"},
        }
        for name, tools in (("mcp", ["crm.get_x"]), ("other", ["nothing"]))
    ]
    page.write("claims", "")
    page.write("request", CALL.replace('"organization_id": "org-globex"', ""))
    page.write("policy", json.dumps({"policies": policies}))
    assert page.verdict() == ("approved", "allowed"), page.shown("main")
    page.person.run(page.person.page.get_by_label("Policy of").select_option("http://127.0.0.1:10000/other"))
    page.judged()
    assert page.verdict() == ("blocked", "no_role")


def test_an_event_stream_is_shown_as_the_client_gets_it(playground: Callable[..., Playground]) -> None:
    page = playground()
    page.example(12)
    message = json.dumps(json.loads(page.text("answer")))
    page.write("answer", f"event: message\ndata: {message}\n\n")
    assert "data: " in page.part("received") and "4111" not in page.part("received")


# What is written before the cursor, and what is and is not offered there.
COMPLETIONS = [
    ("", ["resource", "roles", "policies"], ["redact"]),
    ("resource: x\nroles:\n  a:\n    ", ["tools", "deny", "extends"], ["resource", "issuers"]),
    ("roles:\n  a:\n    tools: [x]\n    ", ["deny"], ["tools"]),
    ("roles:\n  a: {tools: [x, y], ", ["deny"], ["tools", "resource"]),
    ("issuers:\n  - issuer: x\n    ", ["jwks", "identity"], ["issuer", "roles"]),
    ("issuers:\n- issuer: x\n  jwks: {", ["cluster", "path"], ["issuer"]),
    ("issuers:\n  - ", ["issuer", "jwks"], ["roles"]),
    ("results:\n  - tools: [x]\n    owner: {", ["field", "is"], ["redact"]),
    ("mode: ", ["observe", "enforce"], ["resource"]),
    ("issuers:\n  - algorithms: [", ["ES256"], ["issuer"]),
    ("arguments:\n  role: ", ["remove", "reject"], ["role"]),
    ("tools:\n  crm.a:\n    max_token_age: 5m\nroles:\n  b:\n    ", ["tools"], ["max_token_age"]),
]


def test_the_editor_offers_the_keys_of_the_schema(playground: Callable[..., Playground]) -> None:
    page = playground()
    keyboard = page.person.page.keyboard
    options = page.person.page.locator("#policy .cm-tooltip-autocomplete .cm-completionLabel")
    for before, offered, not_offered in COMPLETIONS:
        page.write("policy", before)
        page.person.run(keyboard.press("Control+End"))
        page.person.run(keyboard.press("Control+Space"))
        page.person.run(options.first.wait_for())
        labels = set(page.person.run(options.all_text_contents()))
        assert set(offered) <= labels and not set(not_offered) & labels, (before, labels)
        page.person.run(keyboard.press("Escape"))
        page.person.run(options.first.wait_for(state="hidden"))


def test_a_link_has_all_fields(playground: Callable[..., Playground]) -> None:
    page = playground()
    page.write("policy", POLICY)
    page.write("claims", "")
    page.write("request", CALL.replace("org-globex", "é\u202e<b>"))
    page.person.run(page.person.page.get_by_text("Headers and time").click())
    page.person.fill("Time in UTC. Empty: the time of this machine", "2026-06-01T00:00:00Z")
    page.judged()
    page.person.run(page.person.page.get_by_role("button", name="Copy link").click())
    page.person.run(page.person.page.wait_for_selector("#notice:not([hidden])"))
    link = page.person.run(page.person.page.locator("#link").input_value())
    assert link == page.person.url() and link.startswith(f"{PAGE.as_uri()}#s=")
    other = playground(link)
    for field in ("policy", "claims", "request", "answer"):
        assert other.text(field) == page.text(field), field
    assert other.js("() => document.querySelector('#now').value") == "2026-06-01T00:00:00Z"
    assert other.record() == page.record()


def packed(state: bytes) -> str:
    """A fragment with this state."""
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return "#s=" + base64.urlsafe_b64encode(made.compress(state) + made.flush()).decode().rstrip("=")


HOSTILE = {
    "another fragment": ("#policy", "not one of the playground"),
    "no base64url": ("#s=%3Cscript%3E", "not base64url"),
    "an odd length": ("#s=A", "not base64url"),
    "not deflated": ("#s=AAAA", "cannot be unpacked"),
    "nothing": ("#s=", "not base64url"),
    "cut off": (packed(json.dumps({"policy": POLICY}).encode())[:-8], "cannot be unpacked"),
    "no JSON": (packed(b"policy: x"), "no JSON"),
    "no UTF-8": (packed(b'{"policy": "\xff"}'), "no JSON"),
    "a list": (packed(b"[]"), "does not have"),
    "null": (packed(b"null"), "does not have"),
    "a number": (packed(b'{"policy": 1}'), "does not have"),
    "another field": (packed(b'{"__proto__": "x"}'), "does not have"),
    "too long": ("#s=" + "A" * 300_000, "too long"),
    "a bomb": (packed(b'{"policy": "' + b"a" * 50_000_000 + b'"}'), "more than the playground reads"),
    "a deep one": (packed(b"[" * 400_000), "no JSON"),
}


def test_a_hostile_link_is_explained_and_not_used(playground: Callable[..., Playground]) -> None:
    page = playground()
    before = page.text("policy")
    for name, (fragment, message) in HOSTILE.items():
        page.open(PAGE.as_uri() + fragment)
        assert message in page.shown("#notice"), name
        assert page.text("policy") == before, name
        assert page.verdict() == ("approved", "allowed"), name


def test_nothing_of_the_input_becomes_html(playground: Callable[..., Playground]) -> None:
    page = playground()
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    state = {
        "policy": POLICY.replace("crm.get_*", "crm.*") + f"refusals: '{hostile}'\n",
        "request": CALL,
    }
    page.open(PAGE.as_uri() + packed(json.dumps(state).encode()))
    assert hostile in page.shown("#mistakes")
    state["policy"] = POLICY.replace("crm.get_*", "*")
    state["request"] = CALL.replace("crm.get_x", hostile)
    state["answer"] = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": hostile}]}})
    state["headers"] = f"x-note: {hostile}"
    page.open(PAGE.as_uri() + packed(json.dumps(state).encode()))
    assert hostile in page.part("body") + page.part("reply")
    state["request"] = CALL
    page.open(PAGE.as_uri() + packed(json.dumps(state).encode()))
    assert hostile in page.part("received") and hostile in page.part("headers")
    assert page.js("() => document.querySelectorAll('img, body script:not([type=module])').length") == 0


def test_characters_that_hide_text_are_shown(playground: Callable[..., Playground]) -> None:
    page = playground()
    page.write("request", CALL.replace("org-globex", "a\u202eb\u200bc"))
    page.write("policy", POLICY.replace("  organization_id: {set: organization}", "  organization_id: keep"))
    page.write("claims", "")
    assert "a\\u{202e}b\\u{200b}c" in page.part("body")


def test_the_page_makes_no_request(playground: Callable[..., Playground]) -> None:
    asked: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(PAGE.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}/"
        page = playground(url)
        page.example(3)
        page.write("policy", POLICY)
        assert asked == ["/"]
        refused = page.js("url => fetch(url).then(() => 'sent', () => 'refused')", url)
        image = page.js("url => new Promise(end => { const i = new Image(); i.onload = i.onerror = e => end(e.type); i.src = url; })", url)
        site.shutdown()
    assert (refused, image, asked) == ("refused", "error", ["/"])
    assert {each for each in page.requests if not each.startswith("data:")} <= {url, "about:blank"}
    # What the browser says about the two attempts of this test.
    assert all("Content Security Policy" in error or "violates" in error for error in page.errors)
    page.errors.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(playground: Callable[..., Playground], scheme: str, viewport: dict[str, int]) -> None:
    page = playground(color_scheme=scheme, viewport=viewport)
    page.js(AXE.read_text())
    for prepare in (
        lambda: page.js("() => document.querySelectorAll('details').forEach(each => each.open = true)"),
        lambda: page.example(3),
        lambda: page.example(13),
        lambda: page.write("claims", "["),
        lambda: page.write("policy", POLICY.replace("roles:\n", "rolls:\n")),
    ):
        prepare()
        assert page.js("() => document.scrollingElement.scrollWidth") <= viewport["width"]
        found = page.js("() => axe.run({resultTypes: ['violations']})")["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_a_keyboard_reaches_everything(playground: Callable[..., Playground]) -> None:
    page = playground()
    keyboard = page.person.page.keyboard
    seen = []
    for _ in range(40):
        page.person.run(keyboard.press("Tab"))
        script = """() => {
            const inner = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
            return inner?.ariaLabel || inner?.id || inner?.textContent.trim();
        }"""
        seen.append(page.js(script))
    wanted = ["example", "share", "Policy, in YAML", "Request, in JSON", "Headers and time", "Access-log record"]
    assert [each for each in wanted if each not in seen] == []
