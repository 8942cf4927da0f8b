"""The dashboard and the alerts, tried at a real Prometheus that scrapes a real Envoy with real traffic."""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import proxy
from demo.people import DANA, SAM
from demo.stack import Stack, free_ports

from .harness import client
from .harness.envoy import ROOT
from .harness.messages import LEGACY, MODERN, HeaderList, call, post
from .harness.prometheus import DEPLOY, Prometheus, program
from .harness.shipped import ask, host_log
from .harness.waiting import eventually
from .layers import links

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
REASONS = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "reasons.md").read_text(), re.MULTILINE))
NAMES = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"] if "alert" in rule]

# A crash, a changed tool, a second policy and a lost key are not made here: promtool tries these rules with made-up numbers.
NOT_PROVOKED = {"McpAuthModuleCrashed", "McpAuthPoliciesDiffer", "McpAuthSealKeyUnknown", "McpAuthToolChanged"}

# The key of `seal` that is being replaced.
OLD_KEY = "an old secret of the tests, long enough"

# On one connection, so that one worker has more to check than it checks in a second.
FORGED = 400
ROUNDS = 5
# The rounds with forged tokens: Prometheus must see the counters before they grow again.
BURSTS = (0, ROUNDS - 1)


def queries() -> list[tuple[str, str, bool]]:
    """Title, expression, and whether it is asked for a range of time, of each panel."""
    return [
        (panel["title"], target["expr"], target.get("range", True))
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    ]


class Site:
    """Envoy with several policies, and Prometheus."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.policies = directory / "policies"
        self.policies.mkdir()
        [self.broken_port, self.dead_port] = free_ports(2)

    def adapt(self, config: proxy.Config) -> proxy.Config:
        """The shipped configuration with more policies, each for one kind of trouble."""
        clusters = config["static_resources"]["clusters"]
        dead = copy.deepcopy(clusters[0])
        dead["name"] = dead["load_assignment"]["cluster_name"] = "dead"
        clusters.append(dead)
        proxy.set_upstream(config, "dead", self.dead_port)
        manager = proxy.connection_manager(config)
        [host] = manager["route_config"]["virtual_hosts"]
        server = host["routes"][-1]["route"]
        for prefix, cluster in (("/down", "dead"), ("/garbage", "login")):
            host["routes"].insert(0, {"match": {"prefix": prefix}, "route": {**server, "cluster": cluster}})
        self.filter = manager["http_filters"][0]["typed_config"]
        policy = proxy.policy(config)
        self.resource = policy["resource"]
        policies = [policy]
        for name in ("observed", "keyless", "down", "garbage"):
            other = copy.deepcopy(policy)
            other["resource"] = self.resource.replace("/mcp", f"/{name}/mcp")
            other["issuers"][0]["audiences"] = [self.resource]
            policies.append(other)
        variables = self.filter["config"]["vm_config"].setdefault("environment_variables", {})
        variables["key_values"] = {"OLD_KEY": OLD_KEY}
        for each in policies:
            each["seal"] = {"keys": [{"env": "MCP_AUTH_KEY"}, {"env": "OLD_KEY"}], "names_env": "OLD_KEY"}
        policies[1]["mode"] = "observe"
        policies[2]["issuers"][0]["jwks"]["cluster"] = "dead"
        self.filter["config"]["configuration"]["value"] = {"policies": policies}
        self.write("mcp_auth")
        self.write("broken", mistake=1)
        manager["http_filters"][0] = self._discovered("mcp_auth")
        [listener] = config["static_resources"]["listeners"]
        broken = copy.deepcopy(listener)
        broken["name"] = "broken"
        proxy.set_address(broken["address"], self.broken_port)
        broken["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0] = self._discovered("broken")
        config["static_resources"]["listeners"].append(broken)
        return config

    def write(self, name: str, **more: Any) -> None:
        """A file with the filter, with more keys in its policy."""
        typed = copy.deepcopy(self.filter)
        typed["config"]["configuration"]["value"] |= more
        extension = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
        resource = {"@type": extension, "name": name, "typed_config": typed}
        new = self.policies / f"{name}.new"
        new.write_text(json.dumps({"resources": [resource]}))
        new.rename(self.policies / f"{name}.json")

    def _discovered(self, name: str) -> proxy.Config:
        paths = {"path": str(self.policies / f"{name}.json"), "watched_directory": {"path": str(self.policies)}}
        source = {"path_config_source": paths, "resource_api_version": "V3"}
        types = ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]
        return {"name": name, "config_discovery": {"config_source": source, "type_urls": types}}


def traffic(site: Site, stack: Stack) -> None:
    """What the panels show and the alerts watch for."""
    token, port = stack.token(DANA), stack.placement.listener
    for turn in range(ROUNDS):
        for _ in range(4):
            ask(stack, DANA, "crm.get_customer", customer_id="c-100")
        ask(stack, None, "crm.get_customer")
        ask(stack, SAM, "crm.purge_customer", customer_id="c-100")
        for path in ("/observed/mcp", "/keyless/mcp", *["/down/mcp"] * 15, "/garbage/mcp"):
            send(port, path, token)
        for session in (links.sealed_session(site.resource, token, OLD_KEY), "abcdef.AAAA"):
            send(port, "/mcp", token, [("mcp-session-id", session)], LEGACY)
        if turn in BURSTS:
            head, _, signature = token.rpartition(".")
            with client.Connection(port) as connection:
                for number in range(FORGED):
                    forgery = f"{head}.{forged(signature, turn * FORGED + number)}"
                    connection.request(stream_request(port, forgery))
        send(site.broken_port, "/mcp", token)
        site.write("broken", mistake=turn)
        time.sleep(1.2)


def forged(signature: str, number: int) -> str:
    """Another signature of the same length."""
    return f"{number:08d}".replace("0", "A") + signature[8:]


def send(port: int, path: str, token: str, headers: HeaderList = (), version: str = MODERN) -> int:
    """A tool call at a path."""
    return client.send(port, tool_call(port, path, token, headers, version)).status


def tool_call(port: int, path: str, token: str, headers: HeaderList = (), version: str = MODERN) -> client.Request:
    """A tool call."""
    host = [("host", f"127.0.0.1:{port}"), *headers]
    request = post(call(version, "crm.get_customer", {"customer_id": "c-100"}), token, version, host)
    request.path = path
    return request


def stream_request(port: int, token: str) -> client.Request:
    """A request without a body: Envoy keeps the connection after a refusal."""
    headers: HeaderList = [("accept", "text/event-stream"), ("authorization", f"Bearer {token}")]
    return client.Request("GET", "/mcp", [("host", f"127.0.0.1:{port}"), *headers])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus after the traffic."""
    directory = tmp_path_factory.mktemp("observability")
    site = Site(directory)
    with Stack(directory / "stack", adapt=site.adapt) as stack:
        # A second Envoy, which is down. One filter of the first has had no policy from the start.
        targets = [f"127.0.0.1:{stack.placement.admin}", f"127.0.0.1:{site.dead_port}"]
        running = Prometheus(directory / "prometheus", targets)
        try:
            scraped = lambda: len(running.ask_range("envoy_server_uptime", 60)) == 1  # noqa: E731
            eventually(scraped, "Envoy was scraped")
            time.sleep(2)
            assert running.alerts() == {"McpAuthEnvoyDown", "McpAuthPolicyMissing"}
            traffic(site, stack)
            counted = lambda: count(running) > FORGED * len(BURSTS)  # noqa: E731
            eventually(counted, "the traffic was scraped, but Envoy's log says\n", lambda: host_log(stack)[-3000:])
            time.sleep(2)
            yield running
        finally:
            running.close()


def count(running: Prometheus) -> float:
    """How many decisions Prometheus knows."""
    found = running.ask("sum(mcp_auth_decisions)")
    return float(found[0]["value"][1]) if found else 0.0


def numbers(samples: list[dict[str, Any]]) -> list[float]:
    """The numbers of samples or series."""
    values = [pair for each in samples for pair in each.get("values", [each.get("value")])]
    return [number for _, text in values if not math.isnan(number := float(text))]


@pytest.mark.parametrize(("title", "expression", "is_range"), queries(), ids=lambda each: str(each)[:40])
def test_a_panel_shows_the_traffic(prometheus: Prometheus, title: str, expression: str, is_range: bool) -> None:
    for variable, value in (("$__rate_interval", "8s"), ("$__range", "5m"), ("$instance", ".*"), ("$policy", ".*")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    samples = prometheus.ask_range(expression, 60) if is_range else prometheus.ask(expression)
    assert numbers(samples), f"{title} shows nothing: {expression}"
    if title not in ("Crashes of the module",):
        assert max(numbers(samples)) > 0, f"{title} shows 0: {expression}"


def test_the_variables_of_the_dashboard_have_values(prometheus: Prometheus) -> None:
    for variable in DASHBOARD["templating"]["list"][1:]:
        [(metric, label)] = re.findall(r"^label_values\((\w+), (\w+)\)$", variable["definition"])
        assert prometheus.ask(f'group by ({label}) ({metric}{{{label}!=""}})'), variable["name"]


def test_every_alert_that_the_traffic_provokes_is_active(prometheus: Prometheus) -> None:
    expected = set(NAMES) - NOT_PROVOKED
    eventually(lambda: prometheus.alerts() >= expected, f"{sorted(expected)} but there are", prometheus.alerts)
    assert prometheus.alerts() == expected


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert len(rules) == len(NAMES) + 1
    assert {rule["health"] for rule in rules} == {"ok"}, rules


@pytest.mark.parametrize("name", NAMES)
def test_the_metrics_of_an_alert_are_there(prometheus: Prometheus, name: str) -> None:
    """Also of those that the traffic does not provoke: a renamed metric would silence them."""
    [rule] = [rule for group in ALERTS["groups"] for rule in group["rules"] if rule.get("alert") == name]
    for metric in re.findall(r"\b(?:mcp_auth\w*(?::\w+)*|envoy_\w+|up)\b(?=[{\[])", rule["expr"]):
        assert prometheus.ask(f"count({metric})"), metric


def test_labels_are_made_of_names_where_envoy_has_no_stats_tags(tmp_path: Path) -> None:
    """As docs/kubernetes.md says for Istio."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.DOTALL)
    [relabel] = [each for each in map(yaml.safe_load, blocks) if "metric_relabel_configs" in each]
    text = b"# TYPE mcp_auth_decisions_needs_review_no_token counter\nmcp_auth_decisions_needs_review_no_token{} 3\n"

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = Prometheus(tmp_path / "prometheus", [f"127.0.0.1:{server.server_port}"], relabel)
        try:
            wanted = 'mcp_auth_decisions{decision="needs_review",reason="no_token"}'
            eventually(lambda: running.ask(wanted), "the counter has labels")
            assert not running.ask("mcp_auth_decisions_needs_review_no_token")
        finally:
            running.close()
            server.shutdown()


def test_every_reason_in_a_query_is_a_reason_of_the_filter() -> None:
    texts = [expression for _, expression, _ in queries()]
    texts += [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    named = {each for text in texts for found in re.findall(r'reason=~?"([^"]+)"', text) for each in found.split("|")}
    assert len(named) > 40
    assert named <= REASONS


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    for arguments in (["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run([program("promtool"), *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_and_a_text() -> None:
    tested = yaml.safe_load((DEPLOY / "alerts.test.yaml").read_text())["tests"]
    assert {each["name"] for each in tested} == {"a quiet Envoy", *NAMES}
    document = (ROOT / "docs" / "operations.md").read_text()
    for name in NAMES:
        assert f"`{name}`" in document


def test_the_panels_have_names_units_and_room() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert all(x < 24 for x, _ in cells)
    for panel in panels:
        assert panel["type"] == "row" or panel["description"]
