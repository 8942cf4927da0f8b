"""`python -m demo.examples`: the attacks of the demo as examples of the playground.

Each example has the answer that the CRM gives to what reaches it, so `mcp-auth explain` says first what that is.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from demo.attacks import LIES, MISTAKES, Attack
from demo.calls import Call
from demo.crm.data import Store
from demo.crm.server import build
from demo.issuer import claims_of
from demo.people import DANA, Person
from demo.proxy import ROOT
from mcp import Client, MCPError

POLICY = ROOT / "demo" / "policy.yaml"
EXAMPLES = ROOT / "playground" / "examples.json"

Example = dict[str, str]


def examples(command: Path) -> dict[str, Any]:
    """The policy, and one example for each attack. `command`: `mcp-auth`."""
    groups = [("The model is led astray", LIES), ("The server answers too much", MISTAKES)]
    found = [
        example(command, group, attack.title, attack.person, attack.call)
        for group, attacks in groups
        for attack in attacks
    ]
    without = Call("tools/list", "")
    found.append(example(command, "Without a token", "a client without a token", None, without))
    return {"policy": POLICY.read_text(), "examples": found}


def example(
    command: Path, group: str, title: str, person: Person | None, call: Call
) -> Example:
    """One example: the fields of the playground."""
    claims = json.dumps(claims_of(person), indent=2) if person else ""
    body = request(call)
    reached = sent(command, claims, body) if person else None
    answer = asyncio.run(answered(call, reached)) if reached else None
    text = json.dumps(answer, indent=2, ensure_ascii=False) if answer else ""
    return {"group": group, "title": title, "claims": claims, "request": body, "answer": text}


def request(call: Call) -> str:
    """The JSON-RPC message of a call."""
    params: dict[str, Any] = {}
    if call.method == "resources/read":
        params = {"uri": call.subject}
    elif call.subject:
        params = {"name": call.subject, "arguments": call.arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": call.method, "params": params}
    return json.dumps(message, indent=2, ensure_ascii=False)


def sent(command: Path, claims: str, body: str) -> dict[str, Any] | None:
    """The message that reaches the server; `None` if the request is refused."""
    with tempfile.TemporaryDirectory() as directory:
        claims_file, body_file = Path(directory, "claims.json"), Path(directory, "request.json")
        claims_file.write_text(claims)
        body_file.write_text(body)
        arguments = ["--policy", POLICY, "--claims", claims_file, "--request", body_file, "--json"]
        explained = subprocess.run(
            [command, "explain", *arguments], capture_output=True, text=True, check=False
        )
    forward = json.loads(explained.stdout).get("forward")
    if forward is None:
        return None
    message: dict[str, Any] = json.loads(forward["body"] or body)
    return message


async def answered(call: Call, message: dict[str, Any]) -> dict[str, Any]:
    """The CRM's answer to a message, as a JSON-RPC message."""
    async with Client(build(Store())) as client:
        params = message["params"]
        arguments = params.get("arguments", {})
        try:
            match call.method:
                case "tools/call":
                    result: Any = await client.call_tool(call.subject, arguments)
                case "prompts/get":
                    result = await client.get_prompt(call.subject, arguments)
                case _:
                    result = await client.read_resource(params["uri"])
        except MCPError as error:
            failure = {"code": error.error.code, "message": error.error.message}
            return {"jsonrpc": "2.0", "id": message["id"], "error": failure}
    value = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    # Only the newer protocol version has it.
    value.pop("_meta", None)
    return {"jsonrpc": "2.0", "id": message["id"], "result": value}


def main() -> int:
    command = Path(sys.argv[1])
    text = json.dumps(examples(command), indent=1, ensure_ascii=False)
    EXAMPLES.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
