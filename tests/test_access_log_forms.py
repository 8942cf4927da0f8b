"""The access loggers of docs/operations.md, in a real Envoy: JSON lines, and OpenTelemetry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import proxy
from demo.people import DANA, SAM
from demo.stack import Stack

from .harness import client, command_line
from .harness.client import Request
from .harness.envoy import ROOT, binary
from .harness.shipped import ask, host_log
from .harness.upstream import Upstream
from .harness.waiting import eventually

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def documented(logger: str) -> dict[str, Any]:
    """An access logger of the document."""
    blocks = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", OPERATIONS, re.DOTALL)]
    [found] = [each[0] for each in blocks if isinstance(each, list) and each[0].get("name") == logger]
    return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Upstream]:
    """An HTTP/2 server in place of a collector."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module", params=[None, "1.36"], ids=["current", "1.36"])
def stack(
    request: pytest.FixtureRequest, collector: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The demo with these loggers beside its own."""
    directory = tmp_path_factory.mktemp("loggers")
    lines = documented("envoy.access_loggers.file")
    lines["typed_config"]["path"] = str(directory / "lines.json")

    def adapt(config: proxy.Config) -> proxy.Config:
        logs = proxy.connection_manager(config)["access_log"]
        logs += [lines, documented("envoy.access_loggers.open_telemetry")]
        endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": collector.port}}}}
        # A path where the filter is disabled: its requests have no record.
        [virtual_host] = proxy.connection_manager(config)["route_config"]["virtual_hosts"]
        disabled = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
        virtual_host["routes"].insert(0, {
            "match": {"path": "/healthz"},
            "direct_response": {"status": 200},
            "typed_per_filter_config": {"mcp_auth": disabled},
        })
        config["static_resources"]["clusters"].append({
            "name": "collector",
            "http2_protocol_options": {},
            "load_assignment": {"cluster_name": "collector", "endpoints": [{"lb_endpoints": [endpoint]}]},
        })
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVOY_BIN", str(binary(request.param)))
        collector.reset()
        with Stack(directory / "stack", adapt=adapt) as running:
            traffic(running)
            yield running


def traffic(stack: Stack) -> None:
    """Allowed, refused, without a token, at an odd path, and a request that the filter does not see."""
    ask(stack, DANA, "crm.get_customer", customer_id="c-100")
    ask(stack, SAM, "crm.purge_customer", customer_id="c-100")
    ask(stack, None, "crm.get_customer")
    port = stack.placement.listener
    host = [("host", f"127.0.0.1:{port}")]
    client.send(port, Request("GET", '/"}{"x%22', host))
    client.send(port, Request("GET", "/healthz", host))


def log_lines(stack: Stack) -> list[dict[str, Any]]:
    """The documents of the JSON log."""
    file = stack.directory.parent / "lines.json"
    complete = lambda: file.exists() and file.read_text().count("\n") >= 5  # noqa: E731
    eventually(complete, "five lines are written, but Envoy's log says\n", lambda: host_log(stack))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_line_is_json_and_has_the_record(stack: Stack) -> None:
    lines = log_lines(stack)
    records = [json.loads(each["record"]) for each in lines if each["record"] is not None]
    assert [each["reason"] for each in records][:3] == ["allowed", "no_role", "no_token"]
    assert [each["path"] for each in lines if each["record"] is None] == ["/healthz"]
    for line in lines:
        assert set(line) == set(documented("envoy.access_loggers.file")["typed_config"]["log_format"]["json_format"])
    for line, record in zip(lines, records):
        assert line["request_id"] == record["request_id"]
        assert record["client.address"] == "127.0.0.1"


def test_the_command_line_reads_these_lines(stack: Stack, tmp_path: Path) -> None:
    log_lines(stack)
    told = command_line.mcp_auth("audit", str(stack.directory.parent / "lines.json"), directory=tmp_path)
    assert "no_role" in told and "no_token" in told, told


def test_a_collector_receives_the_records(stack: Stack, collector: Upstream) -> None:
    received = lambda: b"".join(each.body for each in collector.recording.requests)  # noqa: E731
    for reason in (b'"reason":"allowed"', b'"reason":"no_role"', b'"reason":"no_token"'):
        eventually(lambda reason=reason: reason in received(), "the record arrives, but Envoy's log says\n", lambda: host_log(stack))
    assert {each.path for each in collector.recording.requests} == {
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    }
    for text in (b"mcp-auth-filter", b"http.response.status_code", b"url.path", b"/mcp"):
        assert text in received()


def test_every_field_of_the_table_of_names_is_a_field_of_the_record() -> None:
    [_, section] = OPERATIONS.split("## OpenTelemetry\n")
    [_, fields] = OPERATIONS.split("## Access log\n")
    known = set(re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", fields.split("### JSON lines")[0], re.MULTILINE))))
    table = section.split("| field of the record |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))))
    assert len(named) > 10
    assert named <= known
