"""Runs the CRM: `python -m demo.crm --port 8000`."""

import argparse
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from demo.crm.data import Store
from demo.crm.recorder import Recorder
from demo.crm.server import build


def main() -> None:
    args = arguments()
    app: ASGIApp = build(Store()).streamable_http_app(
        json_response=args.style == "json",
        stateless_http=not args.sessions,
        # The proxy in front decides which hosts and origins are served.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    if args.record:
        app = Recorder(app, args.record)
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning", lifespan="on")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--record", type=Path, help="append received requests to this file")
    parser.add_argument("--style", choices=("json", "sse"), default="json", help="answer style")
    parser.add_argument("--sessions", action="store_true", help="keep sessions for older clients")
    return parser.parse_args()


if __name__ == "__main__":
    main()
