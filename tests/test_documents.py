"""The documents: links lead somewhere, blocks are what they say, commands exist, and the book builds."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import yaml

from .harness.command_line import mcp_auth
from .harness.documents import DOCUMENTS, Block, commands, every_block, headings, name, prose
from .harness.envoy import ROOT

SCHEMA = json.loads((ROOT / "docs" / "policy.schema.json").read_text())
POLICY_KEYS = {*SCHEMA["$defs"]["Policy"]["properties"], "policies"}
# Generated: their templates of settings are no YAML.
GENERATED = {"docs/reasons.md", "docs/mistakes.md"}
# Blocks that are not policies are tried by other tests.
TRIED_IN = {"docs/operations.md": "test_shipped.py", "docs/kubernetes.md": "test_kubernetes.py"}
# What the documents of policies leave out, for parts of policies.
REST: dict[str, Any] = {
    "resource": "https://crm.example.com/mcp",
    "issuers": [
        {
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"user": "sub", "organization": "org_id", "roles": "roles"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "crm-pages",
            },
        }
    ],
    "roles": {"support": {"tools": ["crm.*"]}},
    "seal": {"key_env": "MCP_AUTH_KEY"},
}

BLOCKS = every_block()
LINK = re.compile(r"\]\(([^)\s]+)\)")


def ids(block: Block) -> str:
    """The name of a test."""
    return block.name


def of(language: str) -> list[Block]:
    """The blocks in a language that are whole."""
    return [block for block in BLOCKS if block.words[:1] == (language,) and "fragment" not in block.words]


# Links


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_in_the_documentation_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        path, _, heading = link.partition("#")
        if ":" in path:
            continue
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not heading or heading in headings(target), link


# Blocks


def policies() -> list[Block]:
    """The blocks with a policy, or a part of one."""
    found = []
    for block in of("yaml"):
        if block.document not in TRIED_IN:
            assert isinstance(yaml.safe_load(block.text), dict), block.name
            found.append(block)
    return found


@pytest.mark.parametrize("block", policies(), ids=ids)
def test_documented_policies_are_accepted(block: Block, tmp_path: Path) -> None:
    """A block is a whole policy, or a part of one that is accepted with the rest."""
    policy = yaml.safe_load(block.text)
    assert set(policy) <= POLICY_KEYS, "not a policy: mark it as a fragment, or try it in another test"
    file = tmp_path / "policy.yaml"
    file.write_text(block.text if {"resource", "policies"} & set(policy) else yaml.safe_dump({**REST, **policy}))
    mcp_auth("check", str(file), directory=tmp_path)


def documented_settings() -> list[dict[str, Any]]:
    """The settings of policies in sentences."""
    documents = [
        document for document in DOCUMENTS if document.name == "README.md" or document.is_relative_to(ROOT / "docs")
    ]
    texts = [document.read_text() for document in documents if name(document) not in GENERATED]
    spans = re.findall(r"`([a-z_]+: [^`\n]+)`", "".join(texts))
    found = [yaml.safe_load(span) for span in spans]
    return [each for each in found if isinstance(each, dict) and set(each) <= POLICY_KEYS]


@pytest.mark.parametrize("setting", documented_settings(), ids=json.dumps)
def test_documented_settings_fit_the_schema(setting: dict[str, Any]) -> None:
    jsonschema.validate({**REST, **setting}, SCHEMA)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.words[:1] == ("yaml",)], ids=ids)
def test_documented_yaml_is_yaml(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", of("json"), ids=ids)
def test_documented_json_is_json(block: Block) -> None:
    """One value, or one in each line."""
    try:
        json.loads(block.text)
    except json.JSONDecodeError:
        for line in block.text.splitlines():
            json.loads(line)


# The pages of identity providers

PROVIDERS = ["keycloak", "entra", "okta", "auth0", "google", "cognito", "zitadel"]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "crm.get_customer", "arguments": {}}}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_policy_of_a_provider_accepts_the_token_beside_it(provider: str, tmp_path: Path) -> None:
    """It knows user, organization and role of the caller. With another audience or issuer it refuses."""
    found = [block for block in BLOCKS if block.document == f"docs/how-to/{provider}.md"]
    [policy] = [block.text for block in found if block.words == ("yaml",)]
    [claims] = [json.loads(block.text) for block in found if block.words == ("json", "claims")]
    request = json.loads(json.dumps(CALL))
    request["params"]["arguments"] = {"organization_id": "org-globex"}
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "request.json").write_text(json.dumps(request))

    def explained(claims: dict[str, Any], status: int) -> str:
        (tmp_path / "claims.json").write_text(json.dumps(claims))
        files = ["--policy=policy.yaml", "--claims=claims.json", "--request=request.json"]
        return mcp_auth("explain", *files, directory=tmp_path, status=status)

    assert "organization_id: set from the token" in explained(claims, 0)
    audience = "client_id" if provider == "cognito" else "aud"
    assert "(token_audience_wrong)" in explained({**claims, audience: "another"}, 1)
    assert "(token_issuer_untrusted)" in explained({**claims, "iss": "https://other.example.com"}, 1)


def test_the_reasons_that_pages_name_exist() -> None:
    """In the first column of a table of what goes wrong, a word with underscores is a reason."""
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "reasons.md").read_text(), re.MULTILINE))
    named = set()
    for document in [*(ROOT / "docs" / "how-to").glob("*.md"), *(ROOT / "docs" / "operations").glob("*.md")]:
        rows = [line.split("|")[1] for line in document.read_text().splitlines() if line.startswith("| ")]
        named |= {code for row in rows for code in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", row)}
    named -= {"next_action", "token_age_s", "request_id"}
    assert len(named) > 10 and not named - known


def test_every_alert_is_explained() -> None:
    alerts = re.findall(r"alert: (\w+)", (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    explained = " ".join(
        re.findall(r"^## (.+)$", (ROOT / "docs" / "operations" / "alerts.md").read_text(), re.MULTILINE)
    )
    assert alerts and set(alerts) == set(re.findall(r"McpAuth\w+", explained))


def test_numbers_are_those_of_the_measurements() -> None:
    """Pages that explain costs round what `docs/performance.md` measured."""
    measured = (ROOT / "docs" / "performance.md").read_text()
    [small, large] = re.findall(r"^\| this filter \| ([\d.]+) \| ([\d.]+) \|", measured, re.MULTILINE)[0]
    [edited] = re.findall(r"^\| this filter, an argument replaced in every request \| ([\d.]+)", measured, re.MULTILINE)
    checks = dict(re.findall(r"^\| (RS256|ES256|ES384|EdDSA)[^|]*\| ([\d.]+) \|", measured, re.MULTILINE))
    capacity = (ROOT / "docs" / "operations" / "capacity.md").read_text()
    for part in (
        f"token known to the worker | {rounded(small)} |",
        f"an argument replaced | {rounded(edited)} |",
        f"64 KiB | {rounded(large)} |",
        *(f"{algorithm} {rounded(cost)}" for algorithm, cost in checks.items()),
    ):
        assert part in capacity, part
    explained = (ROOT / "docs" / "explanation" / "webassembly.md").read_text()
    for part in (f"{rounded(small)} times Envoy alone", f"{rounded(large)} times for 64 KiB"):
        assert part in explained, part
    assert (
        f"{rounded(checks['EdDSA'])} times an approved request for EdDSA, {rounded(checks['RS256'])} for RS256"
        in explained
    )


def rounded(number: str) -> str:
    """A number with one decimal, which is left out if it is 0. Halves are rounded up."""
    return str(Decimal(number).quantize(Decimal("0.1"), ROUND_HALF_UP)).removesuffix(".0")


# Commands


@functools.cache
def help_of(subcommand: str) -> str:
    """What a command says of itself."""
    return mcp_auth(subcommand, "--help", directory=ROOT)


COMMANDS = [
    pytest.param(line, id=f"{block.name} {line}")
    for block in BLOCKS
    if block.words[:1] in ((), ("sh",), ("console",))
    for line in commands(block)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_documented_commands_exist(line: str) -> None:
    _, subcommand, *arguments = shlex.split(line)
    subcommand = subcommand.rstrip(",")
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_of(subcommand)))
    options = {
        each.partition("=")[0] for each in arguments[: (*arguments, "--").index("--")] if re.match("--?[a-z]", each)
    }
    assert options <= known


def test_the_reference_of_the_command_line_names_every_command_and_option() -> None:
    reference = (ROOT / "docs" / "command-line.md").read_text()
    listed = mcp_auth("--help", directory=ROOT).partition("Commands:")[2].partition("Options:")[0]
    subcommands = set(re.findall(r"^  ([a-z]+)", listed, re.MULTILINE)) - {"help"}
    assert len(subcommands) > 10
    for subcommand in subcommands:
        assert f"mcp-auth {subcommand}" in reference or subcommand == "man", subcommand
        options = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", help_of(subcommand), re.MULTILINE)) - {"--help"}
        missing = {option for option in options if option not in reference}
        assert not missing, f"{subcommand}: {missing}"


# The book

MDBOOK = Path(os.environ.get("MDBOOK_BIN", ROOT / ".tools/mdbook/bin/mdbook"))
# Pages that mdBook adds.
ADDED = {"404.html", "print.html", "toc.html"}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built book."""
    directory = tmp_path_factory.mktemp("book")
    ran = subprocess.run(
        [MDBOOK, "build", "--dest-dir", directory], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0 and not re.search(r"WARN|ERROR", ran.stdout + ran.stderr), ran.stdout + ran.stderr
    return directory


def pages(book: Path) -> list[Path]:
    """The pages of the documents."""
    return [page for page in sorted(book.rglob("*.html")) if str(page.relative_to(book)) not in ADDED]


def test_the_book_has_every_document(book: Path) -> None:
    documents = {path.relative_to(ROOT / "docs") for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")}
    documents -= {Path("SUMMARY.md")}
    expected = {
        str(path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))
        for path in documents
    }
    assert expected == {str(page.relative_to(book)) for page in pages(book)}


def test_links_in_the_book_lead_to_its_pages(book: Path) -> None:
    identifiers = {page: set(re.findall(r' id="([^"]+)"', page.read_text())) for page in pages(book)}
    for page in identifiers:
        _, _, text = page.read_text().partition("<main>")
        for link in re.findall(r'<a [^>]*href="([^"]+)"', text.partition("</main>")[0]):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not parts.fragment or unquote(parts.fragment) in identifiers[target], f"{page.name}: {link}"


def test_links_out_of_the_book_lead_to_the_repository(book: Path, tmp_path: Path) -> None:
    source = "https://code.example.com/blob/v1"
    assert "envoy/envoy.yaml" in (book / "install.html").read_text()
    subprocess.run(
        [MDBOOK, "build", "--dest-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "BOOK_SOURCE_URL": source},
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert f'href="{source}/envoy/envoy.yaml"' in (tmp_path / "install.html").read_text()
