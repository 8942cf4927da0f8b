"""The command line with a real Envoy: rendered configurations guard, and `mcp-auth run` serves."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import proxy
from demo.stack import Stack, free_ports, is_free

from .harness import client
from .harness.command_line import command, mcp_auth
from .harness.envoy import ROOT, binary
from .harness.http import Response
from .harness.kubernetes import with_envoy_gateway
from .harness.messages import MODERN, call, post
from .harness.shipped import assert_guards, host_log
from .harness.waiting import eventually

Config = dict[str, Any]


def port_of(address: Config) -> int:
    """The port of a socket address."""
    return int(address["socket_address"]["port_value"])


def endpoint(config: Config, name: str) -> str:
    """The host and port of a cluster."""
    [cluster] = [each for each in config["static_resources"]["clusters"] if each["name"] == name]
    [locality] = cluster["load_assignment"]["endpoints"]
    address = locality["lb_endpoints"][0]["endpoint"]["address"]
    return f"127.0.0.1:{port_of(address)}"


def arguments(config: Config, directory: Path) -> list[str]:
    """The policy, servers and addresses of a placed configuration."""
    (directory / "policy.yaml").write_text(yaml.safe_dump(proxy.policy(config)))
    listener = config["static_resources"]["listeners"][0]["address"]
    module = proxy.plugin(config)["vm_config"]["code"]["local"]["filename"]
    return [
        "policy.yaml",
        f"--upstream=http://{endpoint(config, 'mcp_server')}/mcp",
        f"--cluster=login=http://{endpoint(config, 'login')}",
        f"--listen=127.0.0.1:{port_of(listener)}",
        f"--module={module}",
    ]


def placed(rendered: Config, config: Config) -> Config:
    """A rendered configuration with the admin address and the log of this run."""
    rendered["admin"] = config["admin"]
    log = proxy.connection_manager(config)["access_log"]
    proxy.connection_manager(rendered)["access_log"] = log
    return rendered


def test_a_rendered_file_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVOY_BIN", str(binary(None)))

    def rendered(config: Config) -> Config:
        text = mcp_auth("render", *arguments(config, tmp_path), "--for=envoy", directory=tmp_path)
        return placed(yaml.safe_load(text), config)

    with Stack(tmp_path / "stack", adapt=rendered) as stack:
        assert_guards(stack)
        assert "restricted" not in host_log(stack)


def test_a_rendered_file_with_the_filter_in_another_one_guards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVOY_BIN", str(binary(None)))

    def rendered(config: Config) -> Config:
        mcp_auth("render", *arguments(config, tmp_path), "--for=envoy-file", "--output=out", directory=tmp_path)
        mcp_auth("check", "out/envoy.yaml", directory=tmp_path)
        text = (tmp_path / "out" / "envoy.yaml").read_text()
        found = yaml.safe_load(text.replace("/etc/envoy/policy", str(tmp_path / "out")))
        return placed(found, config)

    with Stack(tmp_path / "stack", adapt=rendered) as stack:
        assert_guards(stack)


def test_what_is_rendered_for_envoy_gateway_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy as Envoy Gateway makes it of an EnvoyExtensionPolicy and its patches."""
    monkeypatch.setenv("ENVOY_BIN", str(binary(None)))

    def made(config: Config) -> Config:
        given = [each for each in arguments(config, tmp_path) if each.startswith(("policy", "--cluster"))]
        text = mcp_auth("render", *given, "--for=envoy-gateway", directory=tmp_path)
        return with_envoy_gateway(config, list(yaml.safe_load_all(text)))

    with Stack(tmp_path / "stack", adapt=made) as stack:
        assert_guards(stack)
        assert "restricted" not in host_log(stack)


# On a terminal


def on_terminal(directory: Path, *arguments: str) -> tuple[bytes, str]:
    """What the command writes to a terminal as its standard error, and its standard output."""
    ours, theirs = pty.openpty()
    shown = b""
    with (directory / "stdout.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(command()), *arguments], cwd=directory, stdout=output, stderr=theirs, env={**os.environ, "TERM": "xterm"}
        )
        os.close(theirs)
        # Linux ends the terminal with an error.
        with suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        process.wait(60)
    os.close(ours)
    return shown, (directory / "stdout.txt").read_text()


def test_colours_and_progress_are_for_terminals_only(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("resource: https://crm.example.com/mcp\nroles: {a: {tools: [*]}}\n")
    shown, _ = on_terminal(tmp_path, "check", "policy.yaml")
    assert b"\x1b[1m\x1b[91merror" in shown and b'quote the "*"' in shown
    plain = subprocess.run([str(command()), "check", "policy.yaml"], cwd=tmp_path, capture_output=True, check=False)
    assert b"\x1b" not in plain.stderr and b"error: not YAML" in plain.stderr
    record = {"decision": "approved", "reason": "allowed", "gen_ai.tool.name": "crm.get", "enduser.roles": ["reader"]}
    line = f"2026-11-29T12:00:00Z POST /mcp HTTP/1.1 200 - 1ms id {json.dumps(record)}\n"
    (tmp_path / "access.log").write_text(line * 150_000)
    shown, output = on_terminal(tmp_path, "audit", "access.log", "--json")
    assert b"reading access.log" in shown and shown.endswith(b"\x1b[2K")
    assert json.loads(output)["requests"] == 150_000
    plain = subprocess.run([str(command()), "audit", "access.log"], cwd=tmp_path, capture_output=True, check=False)
    assert plain.stderr == b""


# `mcp-auth run`

POLICY = """
resource: http://127.0.0.1:{port}/mcp
local: {{user: me, organization: org-acme, roles: [reader]}}
roles:
  reader: {{tools: ["crm.get_*", "crm.search_*"]}}
arguments:
  organization_id: {{set: organization}}
seal: {{key_env: MCP_AUTH_KEY}}
"""


@contextmanager
def crm(directory: Path, port: int) -> Iterator[None]:
    """The demo's server."""
    with (directory / "crm.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "demo.crm", f"--port={port}"], cwd=ROOT, stdout=log, stderr=log
        )
    try:
        eventually(lambda: not is_free(port), "the server listens", (directory / "crm.log").read_text)
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def running(directory: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`mcp-auth run`, with its output in a file."""
    environment = {name: value for name, value in os.environ.items() if name != "MCP_AUTH_KEY"}
    with (directory / "run.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(command()), "run", "policy.yaml", *options],
            cwd=directory,
            env={**environment, "ENVOY_BIN": str(binary(None)), "MCP_AUTH_MODULE": str(proxy.MODULE_FILE)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def said(directory: Path) -> str:
    """What `mcp-auth run` printed."""
    return (directory / "run.txt").read_text()


def ask(port: int, tool: str, **given: Any) -> Response:
    """A tool call without a token."""
    request = post(call(MODERN, tool, given), None, MODERN, [("host", f"127.0.0.1:{port}")])
    return client.send(port, request)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_shows_decisions_reloads_and_ends(tmp_path: Path, end: signal.Signals) -> None:
    port, upstream = free_ports(2)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(port=port))
    with crm(tmp_path, upstream), running(tmp_path, f"--upstream=http://localhost:{upstream}/mcp") as process:
        eventually(lambda: "Ctrl-C ends" in said(tmp_path), "it is ready", lambda: said(tmp_path), 120)
        assert f"claude mcp add --transport http my-server http://127.0.0.1:{port}/mcp" in said(tmp_path)
        found = ask(port, "crm.search_customers", organization_id="org-globex")
        assert b"org-acme" in found.body and b"org-globex" not in found.body
        assert ask(port, "crm.purge_customer", customer_id="c-100").error_code() == -32602
        for words in (r"approved +tools/call crm.search_customers +reader +allowed \(set organization_id\)",
                      r"blocked +tools/call crm.purge_customer +reader +no_role: "):
            eventually(lambda: re.search(words, said(tmp_path)), words, lambda: said(tmp_path))  # noqa: B023
        policy.write_text(policy.read_text().replace('"crm.search_*"', ""))
        eventually(lambda: "policy loaded again" in said(tmp_path), "the policy is loaded again", lambda: said(tmp_path))
        denied = lambda: ask(port, "crm.search_customers").error_code() == -32602  # noqa: E731
        eventually(denied, "the new policy is in force", lambda: said(tmp_path))
        policy.write_text(policy.read_text() + "colour: red\n")
        eventually(lambda: "unknown key `colour`" in said(tmp_path), "the mistake is shown", lambda: said(tmp_path))
        assert ask(port, "crm.get_customer", customer_id="c-100").status == 200
        process.send_signal(end)
        assert process.wait(20) == 0, said(tmp_path)
        assert is_free(port) and "\x1b" not in said(tmp_path)
        assert "-- stopped" in said(tmp_path)


SIGNED = """
resource: http://127.0.0.1:{port}/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {jwks}
    identity: {{organization: org_id, roles: realm_access.roles}}
roles:
  reader: {{tools: ["crm.search_*"]}}
arguments:
  organization_id: {{set: organization}}
"""


def test_a_minted_token_is_accepted_by_the_filter(tmp_path: Path) -> None:
    port, upstream = free_ports(2)
    policy = tmp_path / "policy.yaml"
    policy.write_text(SIGNED.format(port=port, jwks="{cluster: login, path: /jwks}"))
    keys = mcp_auth("token", "--policy=policy.yaml", "--jwks", directory=tmp_path)
    policy.write_text(SIGNED.format(port=port, jwks=json.dumps({"inline": json.loads(keys)})))

    def search(*caller: str) -> Response:
        token = mcp_auth("token", "--policy=policy.yaml", *caller, directory=tmp_path).strip()
        asked = call(MODERN, "crm.search_customers", {"organization_id": "org-globex"})
        return client.send(port, post(asked, token, MODERN, [("host", f"127.0.0.1:{port}")]))

    with crm(tmp_path, upstream), running(tmp_path, f"--upstream=http://127.0.0.1:{upstream}/mcp"):
        eventually(lambda: "Ctrl-C ends" in said(tmp_path), "it is ready", lambda: said(tmp_path), 120)
        dana = ("--user=dana", "--organization=org-acme", "--role=reader")
        found = search(*dana)
        assert found.status == 200 and b"org-acme" in found.body and b"org-globex" not in found.body
        assert search("--user=dana", "--organization=org-acme", "--role=other").error_code() == -32602
        assert search(*dana, "--claim=exp=1000").status == 401
        assert search(*dana, "--key=other.pem").status == 401


def test_run_says_why_envoy_does_not_start(tmp_path: Path) -> None:
    [port] = free_ports(1)
    (tmp_path / "policy.yaml").write_text(POLICY.format(port=port) + "audit: {key_env: OTHER_KEY}\n")
    (tmp_path / "broken.wasm").write_bytes(b"no module")
    with running(tmp_path, "--upstream=http://127.0.0.1:9", "--module=broken.wasm") as process:
        assert process.wait(60) == 1
    assert "mcp-auth: Envoy did not start" in said(tmp_path) and "Next: " in said(tmp_path)


def test_init_writes_a_policy_that_run_serves(tmp_path: Path) -> None:
    """From nothing to a guarded server: two commands."""
    port, upstream = free_ports(2)
    with crm(tmp_path, upstream):
        server = f"http://127.0.0.1:{upstream}/mcp"
        resource = f"http://127.0.0.1:{port}/mcp"
        mcp_auth("init", "--url", server, "--sample", "--resource", resource, "-o", "policy.yaml", directory=tmp_path)
        policy = tmp_path / "policy.yaml"
        policy.write_text(policy.read_text().replace("my-org", "org-acme"))
        with running(tmp_path, f"--upstream={server}"):
            eventually(lambda: "Ctrl-C ends" in said(tmp_path), "it is ready", lambda: said(tmp_path), 120)
            found = ask(port, "crm.search_customers", organization_id="org-globex")
            assert b"org-acme" in found.body and b"org-globex" not in found.body
            assert b"isError\":true" not in ask(port, "crm.list_tickets").body
            assert ask(port, "crm.purge_customer", customer_id="c-100").error_code() == -32602
