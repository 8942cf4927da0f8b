"""The data API of Open Policy Agent (`POST /v1/data/...`), by its own engine in a shared library.

The registries that the tests use have no program of Open Policy Agent. This one has its engine.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opa_bindings import OpaEngine, OpaUndefinedError  # type: ignore[import-not-found]

PREFIX = "/v1/data/"


def main() -> None:
    """Serve until the process is ended."""
    port, policy = int(sys.argv[1]), Path(sys.argv[2])
    engine = OpaEngine()
    engine.add_policy(policy.name, policy.read_text())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200, {})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            path = self.path.removeprefix(PREFIX).replace("/", ".")
            try:
                self.answer(200, {"result": engine.eval_document(path, asked["input"])})
            except OpaUndefinedError:
                self.answer(200, {})

        def answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


main()
