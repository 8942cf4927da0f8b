"""What Envoy's log and stats say about a policy that is loaded or refused, and what a health check sees."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .harness import client, command_line, tokens
from .harness.changing import Changing, running
from .harness.client import Request
from .harness.envoy import ROOT, Envoy
from .harness.envoy_config import Cluster
from .harness.messages import LEGACY, call, post
from .harness.upstream import Upstream
from .harness.policy import policy
from .harness.waiting import eventually

BEFORE = policy(roles={"support": {"tools": ["crm.get_customer"]}})
AFTER = policy(roles={"support": {"tools": ["crm.search_customers"]}, "manager": {"tools": ["crm.*"]}}, mode="observe")
NUMBERS = itertools.count()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]

pytestmark = pytest.mark.parametrize("version", [None, "1.36"], ids=["current", "1.36"], scope="module", indirect=True)


@pytest.fixture(scope="module")
def version(request: pytest.FixtureRequest) -> str | None:
    """A version of Envoy; none: the one of this environment."""
    return request.param


@pytest.fixture(scope="module")
def changing(
    version: str | None,
    clusters: dict[str, Cluster],
    upstream_server: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Changing]:
    """One Envoy with two workers, whose first policy is `BEFORE`."""
    # Tests of other modules let the server answer otherwise.
    upstream_server.reset()
    with running(tmp_path_factory.mktemp("loaded"), clusters, version, BEFORE, concurrency=2) as changing:
        yield changing


def broken() -> Any:
    """A policy that the module refuses. Each is another one: Envoy does not ask the module about one twice."""
    return policy(roles={"support": {f"tool{next(NUMBERS)}": ["crm.*"]}})


def sha256(document: Any) -> str:
    """The SHA-256 of a policy's canonical JSON, as docs/operations.md says."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    text = json.dumps(plain(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def loaded_lines(log: str) -> list[str]:
    """The lines about policies that were loaded."""
    return re.findall(r"policy loaded, .*", log)


def gauge(changing: Changing, name: str) -> int:
    """A gauge of the filter."""
    [value] = changing.envoy.stats(rf"^wasmcustom\.mcp_auth\.{name}\.mcp_auth$").values()
    return value


def test_the_log_and_the_stats_name_policy_and_version(changing: Changing) -> None:
    assert changing.may("crm.get_customer")
    [line, *_] = loaded_lines(changing.envoy.log())
    digits = sha256(BEFORE)
    assert line.startswith(f"policy loaded, sha256 {digits}, {len(BEFORE['issuers'])} issuer"), line
    assert ", 1 role; mcp-auth-filter " in line and VERSION in line, line
    assert changing.envoy.stats(r"^wasmcustom\.mcp_auth\.build\.") == {
        f"wasmcustom.mcp_auth.build.{VERSION.replace('.', '_')}.unknown": 1
    }
    assert gauge(changing, "policy_refused_time") == 0
    assert gauge(changing, "policy_hash") == int(digits[:12], 16)


def test_of_all_workers_one_logs_a_change_and_names_what_changed(changing: Changing) -> None:
    changing.changes_to(BEFORE, "crm.get_customer")
    before = len(changing.envoy.log())
    changing.accepts(AFTER)
    said = lambda: loaded_lines(changing.envoy.log()[before:])  # noqa: E731
    eventually(said, "the change is logged")
    assert changing.may("crm.search_customers")
    [line] = said()
    assert f"sha256 {sha256(AFTER)}, " in line and ", 2 roles, mode observe; " in line
    assert f"; in place of sha256 {sha256(BEFORE)[:12]}, changed: " in line
    assert "roles.support, mode (new), roles.manager (new); " in line
    assert gauge(changing, "policy_hash") == int(sha256(AFTER)[:12], 16)


def test_a_refused_change_is_logged_and_turns_a_gauge_on(changing: Changing) -> None:
    changing.changes_to(BEFORE, "crm.get_customer")
    log = changing.refuses(broken())
    assert f"the policy loaded before it, sha256 {sha256(BEFORE)[:12]}, stays in force" in log, log
    assert abs(gauge(changing, "policy_refused_time") / 1000 - time.time()) < 60
    assert gauge(changing, "policy_hash") == int(sha256(BEFORE)[:12], 16)
    assert changing.may("crm.get_customer")
    changing.accepts(AFTER)
    eventually(lambda: gauge(changing, "policy_refused_time") == 0, "the gauge is off")


def test_a_policy_may_be_a_text_in_yaml(changing: Changing) -> None:
    document = "# a comment\n" + yaml.safe_dump(AFTER, default_flow_style=False)
    changing.changes_to(BEFORE, "crm.get_customer")
    changing.changes_to(document, "crm.search_customers")
    eventually(lambda: f"sha256 {sha256(AFTER)}" in changing.envoy.log(), "the YAML has the same hash")
    changing.changes_to(json.dumps(BEFORE), "crm.get_customer")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("mode: enforce\nmode: observe\n", "line 2, column 1: this key is there twice"),
        ("roles:\n  support: {tools: [*]}\n", "line 2, column 21: not YAML"),
        ("mode: enforce\n---\nmode: observe\n", "a second document; a policy is one"),
        ("a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)), "alias expansion exceeded"),
        ("mode: !secret observe\n", "YAML tags are not accepted"),
        ("# nothing\n", "the policy is empty"),
        ("just words\n", "expected"),
    ],
)
def test_a_text_with_a_mistake_is_refused_with_its_place(changing: Changing, text: str, mistake: str) -> None:
    log = changing.refuses(text)
    assert re.search(rf"policy not loaded: .*{re.escape(mistake)}", log), log


# The health recipes of docs/operations.md


def recipe(heading: str) -> str:
    """The shell block below a heading of docs/operations.md."""
    [_, after] = OPERATIONS.split(f"### {heading}\n")
    return re.search(r"```sh\n(.*?)```", after, re.DOTALL)[1]  # type: ignore[index]


def healthy(envoy: Envoy) -> bool:
    """Whether the recipe's command succeeds."""
    script = recipe("Health").replace("127.0.0.1/9901", envoy.admin_path.read_text().replace(":", "/"))
    return subprocess.run(["bash", "-c", script], capture_output=True, timeout=20, check=False).returncode == 0


def metadata_status(changing: Changing) -> int:
    """The answer to the request that a load balancer may send."""
    host = [("host", f"127.0.0.1:{changing.port}")]
    path = re.search(r"GET (/\.well-known/oauth-protected-resource\S*)", OPERATIONS)[1]  # type: ignore[index]
    return client.send(changing.port, Request("GET", path, host)).status


@pytest.mark.parametrize("mended", [BEFORE, {**BEFORE, "max_body": "1KiB"}], ids=["the old policy", "another one"])
def test_the_health_recipe_is_red_after_a_refused_policy_and_green_again(changing: Changing, mended: Any) -> None:
    """Also after the file of the policy in force was put back, which Envoy does not load again."""
    changing.accepts(BEFORE)
    eventually(lambda: healthy(changing.envoy), "the recipe is green")
    changing.refuses(broken())
    assert not healthy(changing.envoy)
    # The old policy serves on: a load balancer keeps this Envoy.
    assert metadata_status(changing) == 200
    changing.accepts(mended)
    eventually(lambda: healthy(changing.envoy), "the recipe is green again")


def test_the_health_recipes_are_red_without_a_policy(
    version: str | None, clusters: dict[str, Cluster], tmp_path: Path
) -> None:
    with running(tmp_path, clusters, version, broken()) as changing:
        changing.envoy.refused_policies += 1
        assert "no policy was loaded before it" in changing.envoy.log()
        assert "LIVE" in changing.envoy.admin("/ready")
        assert not healthy(changing.envoy)
        assert metadata_status(changing) == 500
        changing.change(BEFORE)
        eventually(lambda: metadata_status(changing) == 200, "the policy is loaded")
        assert healthy(changing.envoy)


def test_the_command_line_prints_the_same_hash(changing: Changing, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(BEFORE))
    said = command_line.mcp_auth("check", str(file), directory=tmp_path)
    assert f"sha256 {sha256(BEFORE)}" in said
    assert changing.envoy.log()
    assert client.send(changing.port, post(call(LEGACY, "crm.none"), tokens.support())).status == 200
