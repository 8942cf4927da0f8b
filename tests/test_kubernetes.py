"""deploy/kubernetes: the overlays and the chart, judged by published schemas and loaded in Envoy."""

from __future__ import annotations

import copy
import functools
import hashlib
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from demo import proxy
from demo.people import DANA

from .harness.command_line import mcp_auth
from .harness.envoy import ROOT
from .harness.envoy_config import BUFFER
from .harness.kubernetes import (
    CHAINS,
    CHART,
    DEPLOY,
    LISTENER,
    OTHER_CHAINS,
    OVERLAYS,
    Resource,
    ToolError,
    built,
    chart,
    limits,
    mistakes,
    only,
    overlay,
    with_envoy_gateway,
    with_istio,
)
from .harness.shipped import ask, assert_guards, host_log
from .test_shipped import SCHEMA, VERSIONS, Running, running  # noqa: F401

DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()

NAMES = {"istio-sidecar": "", "istio-gateway": "mcp", "istio-waypoint": "waypoint", "envoy-gateway": "eg"}


def policy() -> Any:
    """The policy of the overlays."""
    return yaml.safe_load((DEPLOY / "base" / "policy.yaml").read_text())["spec"]


def values(name: str, **changes: Any) -> Resource:
    """The values with which the chart makes what an overlay makes."""
    module = {"url": "https://artifacts.example.com/mcp_auth_filter.wasm", "sha256": "0" * 64}
    return {
        "proxy": name,
        "policy": policy(),
        "module": module,
        "server": {"labels": {"app": "crm"}, "host": "crm.example.com", "service": "crm"},
        "gateway": {"name": NAMES[name], "route": "crm"},
        "issuers": [{"name": "login", "host": "login.example.com"}],
        **changes,
    }


# Schemas


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_fits_the_published_schemas(name: str, tmp_path: Path) -> None:
    assert mistakes(overlay(name), tmp_path) == []


MISSPELLED = [
    ("istio-gateway", "EnvoyFilter", ("spec", "configPatches", 1, "match", "listener"), "portNumbr"),
    ("istio-gateway", "AuthorizationPolicy", ("spec",), "selectr"),
    ("istio-sidecar", "ServiceEntry", ("spec",), "reslution"),
    ("envoy-gateway", "ClientTrafficPolicy", ("spec", "connection"), "buferLimit"),
    ("envoy-gateway", "EnvoyExtensionPolicy", ("spec", "wasm", 0), "failurePolicy"),
    ("envoy-gateway", "EnvoyPatchPolicy", ("spec", "jsonPatches", 0, "operation"), "pth"),
    ("envoy-gateway", "NetworkPolicy", ("spec",), "ingres"),
]


@pytest.mark.parametrize(("name", "kind", "place", "field"), MISSPELLED, ids=lambda each: str(each))
def test_the_schemas_find_a_field_that_does_not_exist(
    tmp_path: Path, name: str, kind: str, place: tuple[Any, ...], field: str
) -> None:
    resources = copy.deepcopy(overlay(name))
    part: Any = only(resources, kind)
    for step in place:
        part = part[step]
    part[field] = "x"
    assert field in str(mistakes(resources, tmp_path))


@pytest.mark.parametrize(
    ("kind", "place", "wrong"),
    [
        ("EnvoyPatchPolicy", ("spec", "jsonPatches", 0, "operation", "op"), "insert"),
        ("ClientTrafficPolicy", ("spec", "path", "escapedSlashesAction"), "REJECT_REQUEST"),
        ("EnvoyProxy", ("spec", "filterOrder", 0, "after"), "envoy.filters.http.router"),
    ],
)
def test_the_schemas_find_a_wrong_value(tmp_path: Path, kind: str, place: tuple[Any, ...], wrong: str) -> None:
    resources = copy.deepcopy(overlay("envoy-gateway"))
    part: Any = only(resources, kind)
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = wrong
    assert mistakes(resources, tmp_path)


def test_the_policy_of_the_overlays_fits_the_schema() -> None:
    jsonschema.validate(policy(), SCHEMA)


def test_kustomize_sends_only_what_the_cluster_knows() -> None:
    for name in OVERLAYS:
        for each in overlay(name):
            assert not each["apiVersion"].startswith("mcp-auth"), each["kind"]
            assert each["metadata"]["namespace"] == "crm"


# One source of the settings


def test_the_module_has_the_settings_of_envoy_yaml() -> None:
    shipped = proxy.plugin(proxy.load())
    ours = yaml.safe_load((DEPLOY / "components" / "module" / "module.yaml").read_text())["spec"]
    for settings in (shipped, ours):
        del settings["vm_config"]["code"], settings["configuration"]["value"]
    assert ours == shipped


def test_render_for_envoy_gateway_makes_what_the_overlay_makes(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy()))
    text = mcp_auth("render", "policy.yaml", "--for=envoy-gateway", directory=tmp_path)
    rendered = list(yaml.safe_load_all(text))
    limit = only(rendered, "ClientTrafficPolicy")["spec"]["connection"]
    limit["bufferLimit"] = str(limit["bufferLimit"])
    kinds = {each["kind"] for each in rendered}
    assert kinds == {each["kind"] for each in overlay("envoy-gateway")}
    for kind in kinds:
        assert only(rendered, kind) == only(overlay("envoy-gateway"), kind), kind


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_check_of_the_command_line_finds_the_filter_in_an_overlay(tmp_path: Path, name: str) -> None:
    text = yaml.safe_dump_all(overlay(name)).replace("0" * 64, "1" * 64)
    (tmp_path / "built.yaml").write_text(text)
    assert "ok: 2 roles, 1 issuer" in mcp_auth("check", "--strict", "built.yaml", directory=tmp_path)
    (tmp_path / "built.yaml").write_text(text.replace("deny:", "denny:"))
    mcp_auth("check", "built.yaml", directory=tmp_path, status=1)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_has_the_settings_and_limits_of_envoy_yaml(tmp_path: Path, name: str) -> None:
    shipped = proxy.load()
    config = installed(proxy.load(), name, overlay(name), tmp_path)
    assert limits(config) == limits(shipped)
    # The routes of envoy.yaml have no idle timeout; those of a cluster have the one of the manager.
    assert proxy.connection_manager(config)["stream_idle_timeout"] == "0s"
    if name == "envoy-gateway":
        [plugin] = [each for each in proxy.connection_manager(config)["http_filters"] if "wasm" in each["name"]]
        ours = plugin["typed_config"]["config"]
        for setting in ("failure_policy", "allow_on_headers_stop_iteration", "capability_restriction_config"):
            assert ours[setting] == proxy.plugin(shipped)[setting]


def installed(config: proxy.Config, name: str, resources: list[Resource], directory: Path) -> proxy.Config:
    """Envoy with the resources of an overlay."""
    resources = copy.deepcopy(resources)
    if name == "envoy-gateway":
        return with_envoy_gateway(config, resources)
    return with_istio(config, resources, CHAINS[name], directory / "filter.json")


# In Envoy


@VERSIONS
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_guards(running: Running, tmp_path: Path, version: str | None, name: str) -> None:  # noqa: F811
    with running(version, lambda config: installed(config, name, overlay(name), tmp_path)) as stack:
        assert_guards(stack)
        assert "restricted" not in host_log(stack)


@pytest.mark.parametrize("name", OTHER_CHAINS)
def test_other_servers_at_the_same_proxy_are_not_touched(tmp_path: Path, name: str) -> None:
    config = with_istio(proxy.load(), copy.deepcopy(overlay(name)), OTHER_CHAINS[name], tmp_path / "filter.json")
    manager = proxy.connection_manager(config)
    assert len(manager["http_filters"]) == 1 and "request_timeout" not in manager


def test_without_its_patches_the_extension_policy_of_envoy_gateway_refuses_every_request(running: Running) -> None:  # noqa: F811
    """An EnvoyPatchPolicy that is not enabled, or not programmed, opens nothing."""
    resources = copy.deepcopy(overlay("envoy-gateway"))
    with running(None, lambda config: with_envoy_gateway(config, resources, patched=False)) as stack:
        for person in (DANA, None):
            answer = ask(stack, person, "crm.get_customer", customer_id="c-100")
            assert answer.status in (401, 500) and b"Initech" not in answer.body
        assert ask(stack, DANA, "crm.get_customer", customer_id="c-100").status == 500
        assert "allow_on_headers_stop_iteration" in host_log(stack)


class Downloads:
    """Serves the module to Envoy, as Envoy Gateway does for each EnvoyExtensionPolicy."""

    def __init__(self, directory: Path) -> None:
        (directory / "module.wasm").symlink_to(proxy.MODULE_FILE)
        handler = functools.partial(SimpleHTTPRequestHandler, directory=str(directory))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def adapt(self, config: proxy.Config, resources: list[Resource]) -> proxy.Config:
        """Envoy with the module from here."""
        clusters = config["static_resources"]["clusters"]
        clusters.append(copy.deepcopy(clusters[0]))
        clusters[-1]["name"] = clusters[-1]["load_assignment"]["cluster_name"] = "wasm_cluster"
        port = self.server.server_port
        proxy.set_upstream(config, "wasm_cluster", port)
        uri = {"uri": f"http://127.0.0.1:{port}/module.wasm", "cluster": "wasm_cluster", "timeout": "10s"}
        digest = hashlib.sha256(proxy.MODULE_FILE.read_bytes()).hexdigest()
        return with_envoy_gateway(config, resources, code={"remote": {"http_uri": uri, "sha256": digest}})


def test_envoy_gateways_filter_guards_with_a_module_that_is_downloaded(running: Running, tmp_path: Path) -> None:  # noqa: F811
    resources = copy.deepcopy(overlay("envoy-gateway"))
    with Downloads(tmp_path) as downloads, running(None, lambda config: downloads.adapt(config, resources)) as stack:
        assert_guards(stack)


def test_a_mistake_in_the_policy_of_envoy_gateway_refuses_every_request(running: Running, tmp_path: Path) -> None:  # noqa: F811
    """Envoy cannot reject the listener: it has no module yet when it gets the policy."""
    resources = copy.deepcopy(overlay("envoy-gateway"))
    only(resources, "EnvoyExtensionPolicy")["spec"]["wasm"][0]["config"]["rolse"] = {}
    with Downloads(tmp_path) as downloads, running(None, lambda config: downloads.adapt(config, resources)) as stack:
        for person in (DANA, None):
            answer = ask(stack, person, "crm.get_customer", customer_id="c-100")
            assert answer.status >= 500 and b"Initech" not in answer.body
        assert "rolse" in host_log(stack)


def test_envoy_gateway_without_patches_guards_with_a_request_buffer(running: Running) -> None:  # noqa: F811
    resources = copy.deepcopy(overlay("envoy-gateway"))
    [wasm] = only(resources, "EnvoyExtensionPolicy")["spec"]["wasm"]
    wasm["config"]["hold"] = "buffer_filter"
    buffer = only(documented(), "BackendTrafficPolicy")["spec"]["requestBuffer"]
    [order] = only(documented(), "EnvoyProxy")["spec"]["filterOrder"]
    assert order == {"name": "envoy.filters.http.buffer", "after": "envoy.filters.http.wasm"}
    assert buffer == {"limit": "1Mi"}

    def buffered(config: proxy.Config) -> proxy.Config:
        config = with_envoy_gateway(config, resources, patched=False)
        typed = {"@type": BUFFER, "max_request_bytes": 1048576}
        filters = proxy.connection_manager(config)["http_filters"]
        filters.insert(-1, {"name": "envoy.filters.http.buffer", "typed_config": typed})
        return config

    with running(None, buffered) as stack:
        assert_guards(stack)


def test_a_patch_of_envoy_gateway_names_the_filter_of_the_extension_policy() -> None:
    resources = copy.deepcopy(overlay("envoy-gateway"))
    only(resources, "EnvoyExtensionPolicy")["metadata"]["name"] = "other"
    with pytest.raises(ToolError, match="nothing is at"):
        with_envoy_gateway(proxy.load(), resources)


def test_the_cluster_of_the_issuer_has_the_name_that_the_policy_has_for_it() -> None:
    resources = overlay("envoy-gateway")
    patches = only(resources, "EnvoyPatchPolicy")["spec"]["jsonPatches"]
    [cluster] = [each for each in patches if each["type"] != LISTENER]
    assert cluster["name"] == cluster["operation"]["value"]["name"] == policy()["issuers"][0]["jwks"]["cluster"]
    entry = only(overlay("istio-sidecar"), "ServiceEntry")["spec"]
    assert f"outbound|{entry['ports'][0]['number']}||{entry['hosts'][0]}" == cluster["name"]


# The Helm chart


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_chart_makes_what_the_overlay_makes(name: str) -> None:
    def key(each: Resource) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(chart(values(name)), key=key) == sorted(overlay(name), key=key)


def test_the_chart_takes_the_policy_as_text() -> None:
    text = yaml.safe_dump(policy())
    assert chart(values("istio-sidecar", policy=text)) == chart(values("istio-sidecar"))


def test_the_chart_takes_an_image_of_the_module(tmp_path: Path) -> None:
    module = {"url": "oci://registry.example.com/mcp-auth-filter:1.0", "sha256": "1" * 64}
    resources = chart(values("envoy-gateway", module=module))
    [wasm] = only(resources, "EnvoyExtensionPolicy")["spec"]["wasm"]
    image = {"url": "registry.example.com/mcp-auth-filter:1.0", "sha256": "1" * 64}
    assert wasm["code"] == {"type": "Image", "image": image}
    assert mistakes(resources, tmp_path) == []


def test_the_chart_takes_several_issuers_and_variables(tmp_path: Path) -> None:
    issuers = [{"name": "login", "host": "login.example.com"}, {"name": "etcd", "host": "etcd.example.com", "port": 2379}]
    for name in OVERLAYS:
        made = chart(values(name, issuers=issuers, variables=["MCP_AUTH_KEY", "CRM_TOKEN"]))
        assert mistakes(made, tmp_path) == []
        text = yaml.safe_dump_all(made)
        assert "CRM_TOKEN" in text and ("outbound|2379||etcd.example.com" in text or name != "envoy-gateway")
        if name == "istio-waypoint":
            services = only(made, "EnvoyFilter")["metadata"]["annotations"]["envoyfilter.istio.io/referenced-services"]
            assert services == "crm/login.example.com,crm/etcd.example.com"


WRONG_VALUES = [
    ({"proxy": "istio"}, "proxy"),
    ({"policy": None}, "policy"),
    ({"policy": "resource: [unclosed"}, "the policy is no YAML"),
    ({"policy": {"resorce": "https://crm.example.com/mcp"}}, "neither `resource` nor `policies`"),
    ({"module": {"url": "https://artifacts.example.com/x.wasm", "sha256": ""}}, "sha256"),
    ({"module": {"url": "mcp_auth_filter.wasm", "sha256": "0" * 64}}, "url"),
    ({"server": {"labels": {}}}, "labels"),
    ({"polcy": {}}, "polcy"),
    ({"gateway": {"name": ""}}, "gateway.name"),
]


@pytest.mark.parametrize(("changes", "text"), WRONG_VALUES, ids=lambda each: str(each)[:40])
def test_the_chart_refuses_wrong_values(changes: Resource, text: str) -> None:
    with pytest.raises(ToolError, match=re.escape(text)):
        chart(values("istio-gateway", **changes))


def test_the_values_of_the_chart_are_all_described_in_the_schema() -> None:
    schema = jsonschema.Draft7Validator(yaml.safe_load((CHART / "values.schema.json").read_text()))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    unknown = [each for each in schema.iter_errors(defaults) if each.validator == "additionalProperties"]
    assert not unknown


# The document


def documented() -> list[Resource]:
    """The resources in the document."""
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    return [each for each in map(yaml.safe_load, blocks) if isinstance(each, dict) and "kind" in each]


def test_the_resources_in_the_document_fit_the_published_schemas(tmp_path: Path) -> None:
    resources = [each for each in documented() if each["kind"] != "Kustomization"]
    assert {each["kind"] for each in resources} >= {"ConfigMap", "Service", "Gateway", "BackendTrafficPolicy", "EnvoyProxy"}
    assert mistakes(resources, tmp_path) == []


def test_the_kustomization_in_the_document_makes_what_the_overlay_makes(tmp_path: Path) -> None:
    own = copy.deepcopy(only(documented(), "Kustomization"))
    [component] = own["components"]
    shutil.copytree(DEPLOY, tmp_path / "mcp-auth-filter" / "deploy" / "kubernetes", symlinks=True)
    assert (tmp_path / component).exists()
    shutil.copy(DEPLOY / "base" / "policy.yaml", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    assert built(tmp_path) == overlay("istio-sidecar")


def test_the_document_names_each_overlay() -> None:
    for name in OVERLAYS:
        assert f"deploy/kubernetes/overlays/{name}" in DOCUMENT
