"""A small decision point for the demo, which speaks AuthZEN: it says how much may be paid back.

Run it with `python -m demo.decisions --port 9100`. Real ones have policies of their own and a language for them.
"""

import argparse
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

# The largest refund of a manager, and the path where the filter asks.
LARGEST_REFUND = 50
PATH = "/access/v1/evaluation"

# What the demo adds to its policy for refunds.
DECIDE = {"authzen": {"cluster": "decisions", "path": PATH}, "arguments": ["amount"]}


def decide(question: dict[str, Any]) -> dict[str, Any]:
    """The decision about a question."""
    roles = question["subject"].get("properties", {}).get("roles", [])
    amount = question["context"].get("arguments", {}).get("amount")
    if "manager" in roles and isinstance(amount, (int, float)) and amount <= LARGEST_REFUND:
        return {"decision": True}
    reasons = {
        "reason_admin": f"refunds above {LARGEST_REFUND} need a director",
        "reason_user": f"Refunds above {LARGEST_REFUND} need a director. Ask one.",
    }
    return {"decision": False, "context": reasons}


async def serve_decision(request: Request) -> JSONResponse:
    return JSONResponse(decide(await request.json()))


async def serve_health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    args = parser.parse_args()
    routes = [Route(PATH, serve_decision, methods=["POST"]), Route("/healthz", serve_health)]
    uvicorn.run(Starlette(routes=routes), host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
