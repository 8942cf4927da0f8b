"""The address of a client program, where the browser comes back to with a code."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/callback"

# As careful pages set one: the browser keeps it for this host only.
COOKIE = "__Host-landing"


class Landing:
    """A page that says the sign-in is over."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{PATH}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        self.send_response(200 if self.path.startswith(f"{PATH}?") else 404)
        self.send_header("content-type", "text/plain")
        self.send_header("set-cookie", f"{COOKIE}=1; Path=/; Secure; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(b"You are signed in.")

    def log_message(self, *_: object) -> None:
        """Quiet."""
