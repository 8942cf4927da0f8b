"""`make demo-up`: everything running, with tokens and commands to paste."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from demo import proxy
from demo.people import PEOPLE
from demo.stack import Stack, StartError, stopping_on_signals

VERSION = "2026-07-28"


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

The model asks for another organization; the server is asked for Dana's:

{modern_call(stack.guarded_url)}

The same from a client of an earlier protocol version, straight to the server for comparison:

{legacy_call(stack.direct_url)}

And through the filter:

{legacy_call(stack.guarded_url)}

Ctrl-C stops everything.
"""


def modern_call(url: str) -> str:
    """A call by the 2026-07-28 protocol: no handshake, the version in header and body."""
    tool = "crm.search_customers"
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": {"organization_id": "org-globex"}, "_meta": meta}
    headers = [f"MCP-Protocol-Version: {VERSION}", "Mcp-Method: tools/call", f"Mcp-Name: {tool}"]
    return curl(url, headers, params)


def legacy_call(url: str) -> str:
    """A call by an earlier protocol."""
    params = {"name": "crm.search_customers", "arguments": {"organization_id": "org-globex"}}
    return curl(url, ["MCP-Protocol-Version: 2025-11-25"], params)


def curl(url: str, headers: list[str], params: Mapping[str, object]) -> str:
    """A command to paste."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    every = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        *headers,
    ]
    options = " \\\n".join(f"  -H '{header}'" for header in every)
    return (
        f'curl -s {url} -H "Authorization: Bearer $DANA" \\\n'
        f"{options} \\\n  -d '{json.dumps(body)}'"
    )


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
