"""A real Prometheus that scrapes an Envoy of the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from demo.stack import free_ports

from .envoy import ROOT
from .process import end
from .waiting import PATIENCE_S, eventually

DEPLOY = ROOT / "deploy" / "prometheus"

Sample = dict[str, Any]


def program(name: str) -> Path:
    """Prometheus, or another program that comes with it."""
    named = os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus")
    return Path(named or ROOT / ".tools/prometheus/usr/bin/prometheus").with_name(name)


class Prometheus:
    """Prometheus with the shipped rules, which scrapes these targets each second, with these settings."""

    def __init__(self, directory: Path, targets: list[str], scrape: dict[str, Any] | None = None) -> None:
        directory.mkdir()
        config = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / each) for each in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = targets
        config["scrape_configs"][0] |= scrape or {}
        file = directory / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        command = [
            program("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (directory / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        eventually(self._is_ready, "Prometheus is ready, but its log says:\n", (directory / "prometheus.log").read_text)

    def ask(self, expression: str) -> list[Sample]:
        """The samples of an expression now."""
        return self._get("query", query=expression)["result"]

    def ask_range(self, expression: str, seconds: int) -> list[Sample]:
        """The series of an expression in the last seconds."""
        now = float(self.ask("time()")[1])
        return self._get("query_range", query=expression, start=now - seconds, end=now, step=1)["result"]

    def alerts(self) -> set[str]:
        """The names of the alerts that are pending or fire."""
        return {each["labels"]["alertname"] for each in self._get("alerts")["alerts"]}

    def rules(self) -> list[dict[str, Any]]:
        """The rules, with the state of their last evaluation."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def close(self) -> None:
        """End it."""
        end(self.process)

    def _get(self, page: str, **parameters: Any) -> Any:
        url = f"{self.url}/api/v1/{page}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
