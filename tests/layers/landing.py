"""The address of a client program, where the browser comes back to with a code."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/callback"
DOCUMENT_PATH = "/client.json"

# As careful pages set one: the browser keeps it for this host only.
COOKIE = "__Host-landing"


class Landing:
    """A page that says the sign-in is over, and the client's metadata document."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{address}{PATH}"
        # Such names have to be https; the providers know that there is none on this machine.
        self.document: dict[str, Any] = {
            "client_id": f"https://{address}{DOCUMENT_PATH}",
            "client_name": "A client with a document",
            "redirect_uris": [self.url],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def _handler(landing) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                path = self.path.partition("?")[0]
                if path == PATH:
                    self._answer(200, "text/plain", "You are signed in.")
                elif path == DOCUMENT_PATH:
                    self._answer(200, "application/json", json.dumps(landing.document))
                else:
                    self._answer(404, "text/plain", "Not found.")

            def _answer(self, status: int, content_type: str, body: str) -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("set-cookie", f"{COOKIE}=1; Path=/; Secure; HttpOnly; SameSite=Lax")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
