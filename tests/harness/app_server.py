"""A server of the Python SDK in a thread, which notes the headers it was sent."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from .waiting import eventually


def http_app(server: MCPServer, **options: Any) -> Any:
    """Its tools over streamable HTTP, under whatever name it is called."""
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return server.streamable_http_app(transport_security=security, **options)


class AppServer:
    """An application on a port of its own."""

    def __init__(self, app: Any) -> None:
        # Headers as HTTP delivered them.
        self.headers: list[dict[str, str]] = []
        config = uvicorn.Config(
            self._noting(app),
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=1,
            # Envoy keeps idle connections. One that ends just as a request is sent on it refuses the request.
            timeout_keep_alive=600,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        eventually(lambda: self.server.started, "the server has started")
        self.port: int = self.server.servers[0].sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop serving."""
        self.server.should_exit = True
        self.thread.join(5)

    def reset(self) -> None:
        """Forget what was noted."""
        self.headers.clear()

    def _run(self) -> None:
        asyncio.run(self.server.serve())

    def _noting(self, app: Any) -> Any:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                pairs = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
                self.headers.append({":method": scope["method"], **dict(pairs)})
            await app(scope, receive, send)

        return noting
