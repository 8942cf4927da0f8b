"""The shipped files: the demo, the configurations of Envoy and Istio, the documented policies."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from demo import proxy
from demo.people import DANA
from demo.stack import Adapt, Stack, StartError, free_ports

from .harness import client, logs_shown
from .harness.envoy import ROOT, binary
from .harness.envoy_config import Listener
from .harness.http import Response
from .harness.messages import MODERN, call, post
from .harness.shipped import admin, ask, assert_guards, host_log
from .harness.waiting import PATIENCE_S, eventually

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SCHEMA = json.loads((ROOT / "docs" / "policy.schema.json").read_text())

# None is the version of this environment.
VERSIONS = pytest.mark.parametrize("version", [None, "1.36"], ids=["current", "1.36"])

Running = Callable[..., AbstractContextManager[Stack]]


def readme_policies() -> list[dict[str, Any]]:
    """The complete policies in the README."""
    return [block for block in yaml_blocks(README) if "resource" in block]


def yaml_blocks(text: str) -> list[Any]:
    """What stands in the YAML blocks of a document."""
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


LISTENERS = {f"readme_{n}": Listener(each) for n, each in enumerate(readme_policies())}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Starts the demo's processes with one version of Envoy."""

    def start(version: str | None = None, adapt: Adapt | None = None) -> Stack:
        monkeypatch.setenv("ENVOY_BIN", str(binary(version)))
        logs_shown.watch(tmp_path / "stack" / "envoy.log", lambda: False)
        return Stack(tmp_path / "stack", adapt=adapt)

    return start


# The demo


@pytest.mark.parametrize(
    ("mode", "style"), [("legacy", "json"), ("legacy", "sse"), (MODERN, "json"), ("auto", "sse")]
)
def test_the_demo_ends_well(tmp_path: Path, mode: str, style: str) -> None:
    told = story(tmp_path, f"--mode={mode}", f"--style={style}")
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr
    assert "15 of 15 are stopped" in told.stdout


def test_the_demo_can_fail(tmp_path: Path) -> None:
    told = story(tmp_path, "--without-filter")
    assert told.returncode == 1, told.stdout[-3000:] + told.stderr
    assert "0 of 15 are stopped" in told.stdout


def story(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`make demo`, in a directory of its own."""
    command = [sys.executable, "-m", "demo.story", f"--directory={directory}", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )


def test_the_demos_policy_is_the_configured_one() -> None:
    assert proxy.load(proxy.POLICY_FILE) == proxy.policy(proxy.load())


def test_the_demos_policy_fits_the_schema() -> None:
    jsonschema.validate(proxy.load(proxy.POLICY_FILE), SCHEMA)


# Envoy's configuration


def test_r14_the_shipped_routes_have_no_limit_for_long_calls() -> None:
    manager = proxy.connection_manager(proxy.load())
    [host] = manager["route_config"]["virtual_hosts"]
    for route in host["routes"]:
        assert (route["route"]["timeout"], route["route"]["idle_timeout"]) == ("0s", "0s")
    documents = [each for each in yaml.safe_load_all(proxy.ISTIO_FILE.read_text()) if each["kind"] == "EnvoyFilter"]
    patches = [each["patch"]["value"] for each in documents[0]["spec"]["configPatches"]]
    managers = [each["typed_config"] for each in patches if "normalize_path" in each.get("typed_config", {})]
    assert [each["stream_idle_timeout"] for each in managers] == ["0s"]


@VERSIONS
def test_envoys_configuration_guards(running: Running, version: str | None) -> None:
    with running(version) as stack:
        assert_guards(stack)
        assert "restricted" not in host_log(stack)


def test_statistics_have_labels(running: Running) -> None:
    with running() as stack:
        ask(stack, DANA, "crm.get_customer", customer_id="c-100")
        ask(stack, None, "crm.get_customer", customer_id="c-100")
        is_counted(stack, 'mcp_auth_decisions{decision="approved",reason="allowed"} 1')
        is_counted(stack, 'mcp_auth_decisions{decision="needs_review",reason="no_token"} 1')


def test_statistics_of_several_policies_have_labels(running: Running) -> None:
    def listed(config: proxy.Config) -> proxy.Config:
        plugin = proxy.plugin(config)
        policy = plugin["configuration"]["value"]
        other = {**copy.deepcopy(policy), "resource": "https://hr.example.com/hr/mcp"}
        plugin["configuration"]["value"] = {"policies": [policy, other]}
        return config

    with running(None, listed) as stack:
        ask(stack, DANA, "crm.get_customer", customer_id="c-100")
        name = f"127_0_0_1_{stack.placement.listener}_mcp"
        is_counted(stack, f'mcp_auth_decisions{{decision="approved",reason="allowed",policy="{name}"}} 1')


def is_counted(stack: Stack, counter: str) -> None:
    """A line of the statistics. The filter counts a request after it was answered."""
    statistics = lambda: admin(stack, "/stats/prometheus?filter=mcp_auth")  # noqa: E731
    eventually(lambda: counter in statistics().splitlines(), f"{counter} among", statistics)


@VERSIONS
def test_capabilities_are_restricted(running: Running, version: str | None) -> None:
    """The list is in force: a module without a capability it needs does not load."""

    def without_replies(config: proxy.Config) -> proxy.Config:
        del capabilities(proxy.plugin(config))["proxy_send_local_response"]
        return config

    with pytest.raises(StartError, match="proxy_send_local_response"), running(version, without_replies):
        pass


@VERSIONS
@pytest.mark.parametrize("callback", ["proxy_on_request_headers", "proxy_on_request_body"])
def test_an_answer_to_a_request_that_was_not_inspected_is_refused(
    running: Running, version: str | None, callback: str
) -> None:
    """Envoy passes what a list cut short does not let it deliver; the answer ends here."""

    def without_callback(config: proxy.Config) -> proxy.Config:
        del capabilities(proxy.plugin(config))[callback]
        return config

    with running(version, without_callback) as stack:
        for _ in range(2):
            answer = ask(stack, None, "crm.get_customer", customer_id="c-100")
            assert answer.status in (401, 500) and b"Initech" not in answer.body
            answer = ask(stack, DANA, "crm.get_customer", customer_id="c-100")
            assert answer.status == 500 and b"Initech" not in answer.body
        assert "capability_restriction_config" in host_log(stack)


def capabilities(plugin: proxy.Config) -> proxy.Config:
    """What the module may ask of Envoy."""
    allowed: proxy.Config = plugin["capability_restriction_config"]["allowed_capabilities"]
    return allowed


def test_a_key_that_is_not_there_stops_the_load(running: Running) -> None:
    """Otherwise names in the log could be guessed, although the policy names a key."""

    def with_key_env(config: proxy.Config) -> proxy.Config:
        proxy.policy(config)["audit"] = {"key_env": "MCP_AUTH_AUDIT_KYE"}
        return config

    with pytest.raises(Exception, match="audit.key_env: .*MCP_AUTH_AUDIT_KYE"), running(None, with_key_env):
        pass


# The policies to start from


@pytest.mark.parametrize("name", ["local", "every-call", "static-credential", "exchange", "two-layers"])
def test_a_policy_to_start_from_fits_the_schema(name: str) -> None:
    jsonschema.validate(proxy.load(policy_file(name)), SCHEMA)


def policy_file(name: str) -> Path:
    """A policy of the ways to authenticate."""
    return ROOT / "envoy" / f"{name}-policy.yaml"


def with_policy(name: str) -> Adapt:
    """The shipped configuration with this policy in it, as its head says."""

    def adapted(config: proxy.Config) -> proxy.Config:
        document, old = proxy.load(policy_file(name)), proxy.policy(config)
        document["resource"] = old["resource"]
        if "issuers" in document:
            document["issuers"][0]["issuer"] = old["issuers"][0]["issuer"]
        else:
            clusters = config["static_resources"]["clusters"]
            clusters[:] = [each for each in clusters if each["name"] != "login"]
        plugin = proxy.plugin(config)
        plugin["configuration"]["value"] = document
        if "credential_env" in document.get("upstream", {}):
            plugin["vm_config"]["environment_variables"] = {"host_env_keys": ["MCP_AUTH_KEY", "CRM_TOKEN"]}
        return config

    return adapted


CREDENTIAL = "the credential of the CRM"


@VERSIONS
def test_the_local_policy_works_as_documented(
    running: Running, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("CRM_TOKEN", CREDENTIAL)
    with running(version, with_policy("local")) as stack:
        found = ask_locally(stack, "crm.search_customers", organization_id="org-globex")
        assert b"org-acme" in found.body and b"org-globex" not in found.body
        assert last_authorization(stack) == f"Bearer {CREDENTIAL}"
        denied = ask_locally(stack, "crm.purge_customer", customer_id="c-100")
        assert denied.error_code() == -32602
        assert "restricted" not in host_log(stack)


@VERSIONS
def test_the_policy_with_one_credential_works_as_documented(
    running: Running, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("CRM_TOKEN", CREDENTIAL)
    with running(version, with_policy("static-credential")) as stack:
        assert ask(stack, DANA, "crm.search_customers").status == 200
        assert last_authorization(stack) == f"Bearer {CREDENTIAL}"
        assert ask(stack, None, "crm.search_customers").status == 401


@VERSIONS
def test_the_policy_for_every_call_works_as_documented(running: Running, version: str | None) -> None:
    with running(version, with_policy("every-call")) as stack:
        token = stack.token(DANA)
        refund = post(call(MODERN, "crm.refund", {"amount": 1}), token, MODERN)
        first = client.send(stack.placement.listener, refund)
        assert first.status == 200 and "result" in first.rpc()
        again = client.send(stack.placement.listener, refund)
        assert again.status == 401 and "token_used" in (again.all("www-authenticate")[0])
        read = post(call(MODERN, "crm.search_customers", {}), token, MODERN)
        assert client.send(stack.placement.listener, read).status == 200
        assigned = ask(stack, DANA, "crm.assign_ticket", ticket_id="t-1", user_id="u-sam")
        assert assigned.rpc()["result"]["isError"] and b"/.mcp-auth/confirm?ticket=" in assigned.body
        assert "restricted" not in host_log(stack)


def last_authorization(stack: Stack) -> str:
    """The credential in the last request the server got."""
    last = json.loads(stack.received.read_text().splitlines()[-1])
    return dict(last["headers"])["authorization"]


def ask_locally(stack: Stack, tool: str, **arguments: Any) -> Response:
    """A tool call without a token, to this machine by its own name."""
    port = stack.placement.listener
    request = post(call(MODERN, tool, arguments), None, MODERN, [("host", f"localhost:{port}")])
    return client.send(port, request)


# The policy in a file of its own


@VERSIONS
def test_the_policy_changes_as_documented(
    running: Running, tmp_path: Path, version: str | None
) -> None:
    file = tmp_path / "mcp_auth.yaml"
    discovered, response = documented_discovery(file)

    def in_a_file(config: proxy.Config) -> proxy.Config:
        filters = proxy.connection_manager(config)["http_filters"]
        response["resources"][0]["typed_config"] = filters[0]["typed_config"]
        filters[0] = discovered
        file.write_text(yaml.safe_dump(response))
        return config

    with running(version, in_a_file) as stack:
        assert_guards(stack)
        response["resources"][0]["typed_config"]["config"]["configuration"]["value"]["roles"] = {}
        new = file.with_suffix(".new")
        new.write_text(yaml.safe_dump(response))
        new.rename(file)
        denied = lambda: ask(stack, DANA, "crm.get_customer", customer_id="c-100").error_code() == -32602  # noqa: E731
        eventually(denied, "the new policy denies the call, but Envoy's log says:\n", lambda: host_log(stack))


def documented_discovery(file: Path) -> tuple[proxy.Config, proxy.Config]:
    """The filter by discovery, and what its file holds, with this file's name."""
    blocks = re.findall(r"```yaml\n(.*?)```", OPERATIONS, re.DOTALL)
    [discovered] = [yaml.safe_load(block) for block in blocks if "config_discovery" in block]
    [response] = [yaml.safe_load(block) for block in blocks if "TypedExtensionConfig" in block]
    source = discovered[0]["config_discovery"]["config_source"]["path_config_source"]
    assert source["watched_directory"]["path"] == str(Path(source["path"]).parent)
    source["path"], source["watched_directory"]["path"] = str(file), str(file.parent)
    return discovered[0], response


# Istio's


@VERSIONS
def test_istios_filter_guards(running: Running, tmp_path: Path, version: str | None) -> None:
    with running(version, lambda config: as_in_istio(config, tmp_path / "filter.json")) as stack:
        assert_guards(stack)
        assert "restricted" not in host_log(stack)


def test_istio_and_envoy_have_the_same_settings() -> None:
    ours, theirs = proxy.plugin(proxy.load()), proxy.istio_filter()["typed_config"]["config"]
    for settings in (ours, theirs):
        del settings["vm_config"]["code"]
        document = settings["configuration"]["value"]
        del document["resource"], document["issuers"][0]["issuer"], document["issuers"][0]["jwks"]
        # Istio has a name of its own for the server behind a sidecar.
        assert document["upstream"].pop("cluster") in ("mcp_server", "inbound|8000||")
    assert ours == theirs


def test_r1_every_shipped_configuration_buffers_what_the_policy_lets_pass() -> None:
    """The largest answer, and room for one more read of the server's connection."""
    key = "per_connection_buffer_limit_bytes"
    [listener] = proxy.load()["static_resources"]["listeners"]
    documents = yaml.safe_load_all(proxy.ISTIO_FILE.read_text())
    [resource] = [each for each in documents if each["kind"] == "EnvoyFilter"]
    patches = [each for each in resource["spec"]["configPatches"] if each["applyTo"] == "LISTENER"]
    [patch] = patches
    assert patch["match"] == {"context": "SIDECAR_INBOUND", "listener": {"name": "virtualInbound"}}
    default = 8 * 1024 * 1024
    assert "| `max_response` | `8MiB` |" in (ROOT / "docs" / "policy.md").read_text()
    assert patch["patch"]["value"][key] == listener[key] == default + 2 * 1024 * 1024


def as_in_istio(config: proxy.Config, file: Path) -> proxy.Config:
    """Envoy as the EnvoyFilter's patches leave it, with the names of this run."""
    added, place, settings = istio_patches()
    ours, theirs = proxy.plugin(config), added["typed_config"]["config"]
    theirs["vm_config"]["code"] = ours["vm_config"]["code"]
    document, names = theirs["configuration"]["value"], proxy.policy(config)
    document["resource"], document["upstream"] = names["resource"], names["upstream"]
    document["issuers"][0] |= {name: names["issuers"][0][name] for name in ("issuer", "jwks")}
    resource = {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", **added}
    file.write_text(json.dumps({"version_info": "1", "resources": [resource]}))
    source = place["config_discovery"]["config_source"]
    del source["ads"]
    source["path_config_source"] = {"path": str(file)}
    manager = proxy.connection_manager(config)
    common = {**manager["common_http_protocol_options"], **settings["common_http_protocol_options"]}
    manager.update(settings, common_http_protocol_options=common)
    manager["http_filters"] = [place, manager["http_filters"][-1]]
    # Envoy discovers nothing without a name of its own; Istio gives it one.
    config["node"] = {"id": "sidecar", "cluster": "crm"}
    return config


def istio_patches() -> tuple[proxy.Config, proxy.Config, proxy.Config]:
    """The filter, its place in the chain, and the settings of the connection manager."""
    documents = yaml.safe_load_all(proxy.ISTIO_FILE.read_text())
    [resource] = [each for each in documents if each["kind"] == "EnvoyFilter"]
    patches = {
        each["applyTo"]: each["patch"]["value"] for each in resource["spec"]["configPatches"]
    }
    return (
        patches["EXTENSION_CONFIG"],
        patches["HTTP_FILTER"],
        patches["NETWORK_FILTER"]["typed_config"],
    )


# What the log calls the caller

# Each with the variables of its VM.
AUDITS: dict[str, tuple[proxy.Config, dict[str, str]]] = {
    "unkeyed": ({}, {}),
    "keyed": ({"key_env": "AUDIT_KEY"}, {"AUDIT_KEY": "a key of our own"}),
    "rekeyed": ({"key_env": "AUDIT_KEY"}, {"AUDIT_KEY": "another key"}),
    "plain": ({"subject": "plain"}, {}),
    "omitted": ({"subject": "omit"}, {}),
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Any]]:
    """What the records of both workers call Dana, each policy at a listener of its own."""
    directory = tmp_path_factory.mktemp("audit")
    ports = dict(zip(AUDITS, free_ports(len(AUDITS)), strict=True))
    with Stack(directory / "stack", adapt=lambda c: with_audits(c, ports, directory)) as stack:
        return {name: called(stack, port, directory / name) for name, port in ports.items()}


def with_audits(config: proxy.Config, ports: dict[str, int], directory: Path) -> proxy.Config:
    """One listener for each way to name callers."""
    bases = [copy.deepcopy(config) for _ in AUDITS]
    for base, (name, (audit, variables)) in zip(bases, AUDITS.items(), strict=True):
        [listener] = base["static_resources"]["listeners"]
        listener["name"] = name
        proxy.set_address(listener["address"], ports[name])
        log = proxy.connection_manager(base)["access_log"][0]["typed_config"]
        log["path"] = str(directory / name)
        vm = proxy.plugin(base)["vm_config"]
        vm["vm_id"] = name
        vm["environment_variables"]["key_values"] = variables
        proxy.policy(base)["audit"] = audit
    config["static_resources"]["listeners"] = [b["static_resources"]["listeners"][0] for b in bases]
    return config


def called(stack: Stack, port: int, log: Path) -> set[Any]:
    """Dana's names in one listener's log."""
    body = call(MODERN, "crm.get_customer", {"customer_id": "c-100"})
    request, sent = post(body, stack.token(DANA), MODERN), 0
    while not all(connections(stack, port)):
        client.send(port, request)
        sent += 1
    eventually(lambda: log.read_text().count("\n") >= sent, f"{sent} requests are logged")
    text = log.read_text()
    return {json.loads(line[line.index("{") :]).get("enduser.id") for line in text.splitlines()}


def connections(stack: Stack, port: int) -> list[int]:
    """How many each of Envoy's two workers had at this listener."""
    text = admin(stack, "/stats?filter=worker")
    served = re.findall(rf"_{port}\.worker_\d\.downstream_cx_total: (\d+)", text)
    assert len(served) == 2, text
    return [int(count) for count in served]


def b45_the_audit_key_changes_every_name(names: dict[str, set[Any]]) -> None:
    hashed = [names["unkeyed"], names["keyed"], names["rekeyed"]]
    assert all(len(each) == 1 for each in hashed), "workers disagree"
    assert len(set.union(*hashed)) == 3 and DANA.user not in set.union(*hashed)


def b45_the_caller_is_named_as_asked(names: dict[str, set[Any]]) -> None:
    assert names["plain"] == {DANA.user}
    assert names["omitted"] == {None}


# The README's policies


def test_the_readmes_policies_are_accepted(envoy: Any) -> None:
    """Envoy would not have started."""
    assert len(envoy.ports) == len(LISTENERS) > 0


@pytest.mark.parametrize("policy", readme_policies(), ids=lambda each: each["resource"])
def test_the_readmes_policies_fit_the_schema(policy: dict[str, Any]) -> None:
    jsonschema.validate(policy, SCHEMA)
