"""`make demo-up`: everything running, with tokens and commands to paste."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo import proxy
from demo.people import PEOPLE
from demo.stack import Stack, StartError, stopping_on_signals

# Parameters of tool calls.
GLOBEX = {"name": "crm.search_customers", "arguments": {"organization_id": "org-globex"}}
PURGE = {"name": "crm.purge_customer", "arguments": {"customer_id": "c-100"}}

# What the 2026-07-28 protocol adds to the first of them.
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = (
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    f"Mcp-Name: {GLOBEX['name']}",
)


def instructions(stack: Stack) -> str:
    """What to paste, and where to look."""
    place = stack.placement
    tokens = "\n".join(
        f"export {person.key.upper()}='{stack.token(person)}'  # {person.name}, {person.title}"
        for person in PEOPLE.values()
    )
    return f"""
MCP server behind the filter   {stack.guarded_url}
MCP server alone               {stack.direct_url}
issuer                         {place.issuer}  (POST /token, person={"|".join(PEOPLE)})
Envoy's statistics             http://127.0.0.1:{place.admin}/stats?filter=mcp_auth
access log                     tail -f {place.access_log}
what the server receives       tail -f {stack.received}

Tokens, good for one hour:

{tokens}

Dana's model asks for another organization's customers. Straight to the server, it gets them:

{curl(stack.direct_url, GLOBEX)}

Through the filter, it gets Dana's own:

{curl(stack.guarded_url, GLOBEX)}

The same by the 2026-07-28 protocol, which has no handshake and repeats the call in headers:

{curl(stack.guarded_url, {**GLOBEX, "_meta": META}, HEADERS)}

A tool that the policy denies her does not exist for her:

{curl(stack.guarded_url, PURGE)}

Without a token, the answer says where to sign in:

{curl(stack.guarded_url, GLOBEX, signed_in=False)}

Ctrl-C stops everything.
"""


def curl(
    url: str,
    params: Mapping[str, object],
    headers: Sequence[str] = ("MCP-Protocol-Version: 2025-11-25",),
    *,
    signed_in: bool = True,
) -> str:
    """A tool call to paste."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    every = ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    options = [f"-H '{header}'" for header in (*every, *headers)]
    if signed_in:
        options.insert(0, '-H "Authorization: Bearer $DANA"')
    return " \\\n  ".join([f"curl -si {url}", *options, f"-d '{json.dumps(body)}'"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=10000, help="Envoy's port, if it is free")
    parser.add_argument("--module", type=Path, default=proxy.MODULE_FILE, help="the built filter")
    args = parser.parse_args()
    directory = proxy.ROOT / ".demo" / "up"
    try:
        with (
            stopping_on_signals(),
            Stack(directory, listener=args.port, module=args.module) as stack,
        ):
            print(instructions(stack), flush=True)
            while True:
                stack.check_alive()
                time.sleep(1)
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
