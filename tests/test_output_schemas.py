"""The listed output schema of a tool fits the results that a caller receives."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import jsonschema
import pytest

from .harness import tokens
from .harness.customers import HERE, OTHER, OWN, TOOL, StrictServer
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.messages import MODERN
from .harness.policy import policy
from .harness.process import NODE
from .harness.sdk_client import connected

EVERYTHING = {"tools": ["*"]}
OWNER = {"field": "organization_id", "is": "organization", "totals": ["total"]}
HIDES = ["ssn", "limit", "status"]


def shown(*rules: dict[str, Any]) -> Listener:
    """In front of the server, under these rules."""
    results = [{"tools": [TOOL], **rule} for rule in rules]
    return Listener(policy(roles={"*": EVERYTHING}, arguments={}, tools={}, results=results), "server")


LISTENERS = {
    "masked": shown({"owner": OWNER, "redact": HIDES}),
    "last4": shown({"redact": HIDES, "with": "last4"}),
    "removed": shown({"redact": [*HIDES, "emails"], "with": "remove"}),
    "detected": shown({"detect": ["email"]}),
    "both": shown({"owner": OWNER}, {"detect": ["email"]}, {"redact": HIDES, "with": "remove"}),
    "spared": shown({"redact": HIDES, "with": "remove", "unless_role": ["support"]}),
    "plain": Listener(policy(roles={"*": EVERYTHING}, arguments={}, tools={}), "server"),
}
RULED = [name for name in LISTENERS if name not in ("spared", "plain")]
MODES = pytest.mark.parametrize("mode", ["legacy", MODERN])


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Envoy in front of an official server whose schema its results fit closely."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(StrictServer(json_response=True)))
        clusters = {"server": Cluster(server.port), "issuer": Cluster(1)}
        with Envoy(tmp_path_factory.mktemp("output_schemas"), LISTENERS, clusters).checked() as running:
            yield running


def received(envoy: Envoy, name: str, mode: str) -> tuple[dict[str, Any], Any]:
    """The schema the Python SDK's client is shown, and the result it takes, which it checks too."""

    async def work() -> tuple[dict[str, Any], Any]:
        async with connected(envoy.ports[name], mode, False, tokens.support()) as client:
            listed = await client.list_tools()
            (schema,) = [tool.output_schema for tool in listed.tools if tool.name == TOOL]
            assert schema is not None
            answer = await client.call_tool(TOOL, {})
            assert not answer.is_error
            return schema, answer.structured_content

    return asyncio.run(asyncio.wait_for(work(), 30))


@MODES
@pytest.mark.parametrize("name", RULED)
def b34_a_result_fits_the_schema_that_is_shown(envoy: Envoy, name: str, mode: str) -> None:
    servers, _ = received(envoy, "plain", mode)
    schema, result = received(envoy, name, mode)
    checker = jsonschema.FormatChecker()
    jsonschema.validate(result, schema, format_checker=checker)
    assert schema != servers
    # The server's own would have refused it.
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result, servers, format_checker=checker)
    # It still says something.
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"customers": [{"name": 1}], "total": 1}, schema)


@pytest.mark.parametrize("name", RULED)
def b34_the_typescript_client_takes_the_result(envoy: Envoy, name: str) -> None:
    program = [NODE, HERE / "checking_client.cjs", str(envoy.ports[name]), tokens.support(), TOOL]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["customers"]


@MODES
def test_a_role_that_sees_everything_gets_the_servers_schema(envoy: Envoy, mode: str) -> None:
    assert received(envoy, "spared", mode) == received(envoy, "plain", mode)
    assert {each["organization_id"] for each in received(envoy, "plain", mode)[1]["customers"]} == {OWN, OTHER}
