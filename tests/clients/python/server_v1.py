"""A server on the first line of the official Python SDK. It prints its port."""

from __future__ import annotations

import socket

import uvicorn
from mcp.server.fastmcp import FastMCP

crm = FastMCP("crm")


@crm.tool("crm.get_customer")
def get_customer(query: str) -> str:
    """Find a customer."""
    return f"found {query}"


with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(crm.streamable_http_app(), log_level="warning", timeout_keep_alive=600))
    server.run(sockets=[listening])
