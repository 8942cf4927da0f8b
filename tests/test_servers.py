"""envoy/servers: several servers in one Envoy. A new one needs no restart, and a mistake of one stops no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from demo import proxy
from demo.evidence import Received
from demo.people import DANA
from demo.stack import Stack, free_ports

from .harness import client
from .harness.envoy import ROOT
from .harness.http import Response
from .harness.messages import MODERN, call, post
from .harness.shipped import admin, assert_guards, host_log
from .harness.waiting import eventually
from .test_shipped import SCHEMA, VERSIONS, Running, running  # noqa: F401

SHIPPED = ROOT / "envoy" / "servers"
POLICIES = sorted((SHIPPED / "policies").glob("*.yaml"))


def plugin_of(document: Any) -> Any:
    """The filter's settings in a policy file."""
    return document["resources"][0]["typed_config"]["config"]


@pytest.mark.parametrize("file", POLICIES, ids=lambda each: each.stem)
def test_a_server_has_the_settings_of_envoy_yaml(file: Path) -> None:
    ours, shipped = plugin_of(proxy.load(file)), proxy.plugin(proxy.load())
    jsonschema.validate(ours["configuration"]["value"], SCHEMA)
    assert ours["vm_config"].pop("vm_id") == f"mcp_auth_{file.stem}"
    del shipped["vm_config"]["vm_id"]
    for settings in (ours, shipped):
        del settings["configuration"]["value"]
    assert ours == shipped


def test_the_listeners_have_the_limits_of_envoy_yaml() -> None:
    shipped = proxy.load()
    [listener] = shipped["static_resources"]["listeners"]
    manager = proxy.connection_manager(shipped)
    own = {"stat_prefix", "access_log", "http_filters", "route_config"}
    for ours in proxy.load(SHIPPED / "listeners.yaml")["resources"]:
        assert ours["per_connection_buffer_limit_bytes"] == listener["per_connection_buffer_limit_bytes"]
        settings = ours["filter_chains"][0]["filters"][0]["typed_config"]
        assert {k: v for k, v in settings.items() if k not in own} == {k: v for k, v in manager.items() if k not in own}
    bootstrap = proxy.load(SHIPPED / "envoy.yaml")
    for part in ("stats_config", "overload_manager"):
        assert bootstrap[part] == shipped[part]


class Servers:
    """The files of the example with the names of one run. A server named `bad` is a copy of `hr`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "policies").mkdir(parents=True)
        self.ports = dict(zip(("crm", "hr", "bad"), free_ports(3), strict=True))
        self.stack: Stack | None = None

    def adapt(self, config: proxy.Config) -> proxy.Config:
        """Envoy with the first server only."""
        listener = config["static_resources"]["listeners"][0]
        self.ports["crm"] = listener["address"]["socket_address"]["port_value"]
        self.placed = config
        bootstrap = proxy.load(SHIPPED / "envoy.yaml")
        bootstrap["admin"] = config["admin"]
        for source in bootstrap["dynamic_resources"].values():
            self._place(source)
        self.policy("crm")
        self.serve("crm")
        return bootstrap

    def serve(self, *names: str) -> None:
        """Clusters and listeners of these servers."""
        clusters = proxy.load(SHIPPED / "clusters.yaml")
        for each in clusters["resources"]:
            name = "login" if each["name"] == "login" else server_cluster(self.placed)
            proxy.set_address(
                each["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"],
                port_of(self.placed, name),
            )
        self._write("clusters.yaml", clusters)
        listeners = proxy.load(SHIPPED / "listeners.yaml")
        shipped = {each["name"]: each for each in listeners["resources"]}
        listeners["resources"] = [self._listener(name, shipped.get(name, shipped["hr"])) for name in names]
        self._write("listeners.yaml", listeners)

    def policy(self, name: str, change: Callable[[Any], None] = lambda _: None) -> None:
        """The policy file of a server."""
        shipped = SHIPPED / "policies" / f"{name}.yaml"
        document = proxy.load(shipped if shipped.exists() else SHIPPED / "policies" / "hr.yaml")
        document["resources"][0]["name"] = name
        plugin, ours = plugin_of(document), proxy.plugin(self.placed)
        plugin["vm_config"] |= {"code": ours["vm_config"]["code"], "vm_id": f"mcp_auth_{name}"}
        policy = plugin["configuration"]["value"]
        policy["resource"] = f"http://127.0.0.1:{self.ports[name]}/mcp"
        policy["issuers"][0]["issuer"] = proxy.policy(self.placed)["issuers"][0]["issuer"]
        change(policy)
        self._write(f"policies/{name}.yaml", document)

    def _listener(self, name: str, shipped: Any) -> Any:
        listener = yaml.safe_load(yaml.safe_dump(shipped).replace("hr", name) if name == "bad" else yaml.safe_dump(shipped))
        proxy.set_address(listener["address"], self.ports[name])
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        manager["access_log"][0]["typed_config"]["path"] = str(self.directory / "access.log")
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = "crm" if name == "crm" else "hr"
        self._place(manager["http_filters"][0]["config_discovery"]["config_source"])
        return listener

    def _place(self, source: Any) -> None:
        paths = source["path_config_source"]
        assert paths["watched_directory"]["path"] == str(Path(paths["path"]).parent)
        paths["path"] = paths["path"].replace("/etc/envoy/servers", str(self.directory))
        paths["watched_directory"]["path"] = str(Path(paths["path"]).parent)

    def _write(self, name: str, document: Any) -> None:
        """As one move."""
        new = self.directory / f"{name}.new"
        new.write_text(yaml.safe_dump(document))
        new.rename(self.directory / name)

    def ask(self, stack: Stack, server: str, tool: str, signed_in: bool = True) -> Response:
        """A tool call at one of the servers."""
        port = self.ports[server]
        token = stack.token(DANA) if signed_in else None
        return client.send(port, post(call(MODERN, tool, {}), token, MODERN, [("host", f"127.0.0.1:{port}")]))


def server_cluster(config: proxy.Config) -> str:
    """The name of the MCP server's cluster in the shipped configuration."""
    [host] = proxy.connection_manager(config)["route_config"]["virtual_hosts"]
    name: str = host["routes"][-1]["route"]["cluster"]
    return name


def port_of(config: proxy.Config, cluster: str) -> int:
    """Where a server of this run is."""
    [found] = [each for each in config["static_resources"]["clusters"] if each["name"] == cluster]
    endpoint = found["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    port: int = endpoint["address"]["socket_address"]["port_value"]
    return port


def is_listening(stack: Stack, name: str) -> Callable[[], bool]:
    """Whether a server has a listener that serves."""
    return lambda: f"{name}::" in admin(stack, "/listeners") and counter(stack, "total_listeners_warming") == 0


def counter(stack: Stack, name: str) -> int:
    """A number of the listener manager."""
    [line] = admin(stack, f"/stats?filter=^listener_manager.{name}$").splitlines()
    return int(line.rpartition(" ")[2])


@VERSIONS
def test_a_new_server_needs_no_restart_and_a_mistake_of_one_stops_no_other(
    running: Running, tmp_path: Path, version: str | None  # noqa: F811
) -> None:
    servers = Servers(tmp_path / "servers")
    with running(version, servers.adapt) as stack:
        eventually(is_listening(stack, "crm"), "the first server is there", lambda: host_log(stack))
        assert_guards(stack)
        received = Received(stack.received)

        # A new server, whose policy also takes the tokens of the first one.
        audiences = [f"http://127.0.0.1:{servers.ports['crm']}/mcp"]
        servers.policy("hr", lambda policy: policy["issuers"][0].update(audiences=audiences))
        servers.serve("crm", "hr")
        eventually(is_listening(stack, "hr"), "the new server is there", lambda: host_log(stack))
        received.skip()
        assert servers.ask(stack, "hr", "hr.holidays").status == 200
        assert "hr.holidays" in received.params("tools/call")
        assert servers.ask(stack, "hr", "crm.get_customer").error_code() == -32602
        assert servers.ask(stack, "crm", "hr.holidays").error_code() == -32602
        challenge = servers.ask(stack, "hr", "hr.holidays", signed_in=False).header("www-authenticate")
        assert f"127.0.0.1:{servers.ports['hr']}" in (challenge or "")

        # A third one with a mistake: it answers nothing, and the others go on.
        servers.policy("bad", lambda policy: policy.update(rolse={}))
        servers.serve("crm", "hr", "bad")
        eventually(lambda: "rolse" in host_log(stack), "Envoy names the mistake", lambda: host_log(stack))
        eventually(is_listening(stack, "bad"), "the third listener is there", lambda: host_log(stack), 30)
        received.skip()
        assert servers.ask(stack, "bad", "hr.holidays").status == 500
        assert received.params("tools/call") == ""
        assert servers.ask(stack, "hr", "hr.holidays").status == 200
        assert_guards(stack)

        # A mistake in a new policy of a server that runs: the old policy stays.
        servers.policy("hr", lambda policy: policy.update(rolls={}))
        eventually(lambda: "rolls" in host_log(stack), "Envoy names the mistake", lambda: host_log(stack))
        assert servers.ask(stack, "crm", "crm.get_customer").status == 200
        assert servers.ask(stack, "hr", "hr.holidays").status == 200
        assert servers.ask(stack, "hr", "crm.get_customer").error_code() == -32602

        # The mistakes are mended.
        servers.policy("bad", lambda policy: policy["issuers"][0].update(audiences=audiences))
        mended = lambda: servers.ask(stack, "bad", "hr.holidays").status == 200  # noqa: E731
        eventually(mended, "the third server works", lambda: host_log(stack))
        servers.policy("hr", lambda policy: policy["roles"].clear())
        refused = lambda: servers.ask(stack, "hr", "hr.holidays").status != 200  # noqa: E731
        eventually(refused, "the policy without the audience is in force", lambda: host_log(stack))
        assert counter(stack, "listener_modified") == 0
        log = [json.loads(line[line.index("{") :]) for line in (tmp_path / "servers/access.log").read_text().splitlines() if "{" in line]
        assert {"allowed", "unknown_tool", "no_token"} & {each["reason"] for each in log}
