"""A program on the second line of the official Python SDK, PyPI `mcp` 2."""

from __future__ import annotations

from typing import Any

import httpx2
from dialogue import Browser, options, run, say, serve
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from storage import Storage


def provider() -> OAuthClientProvider:
    """How this program signs in."""
    if "client_secret" in options:
        return ClientCredentialsOAuthProvider(
            options["url"],
            Storage(),
            options["client_id"],
            options["client_secret"],
            scope=options.get("scope"),
            issuer=options["issuer"],
        )
    redirect_uris = [options["redirect_uri"]]
    registered = None
    if "client_id" in options:
        registered = OAuthClientInformationFull(
            client_id=options["client_id"],
            redirect_uris=redirect_uris,
            token_endpoint_auth_method="none",
        )
    browser = Browser()

    async def arrived() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**await browser.arrived())

    return OAuthClientProvider(
        options["url"],
        OAuthClientMetadata(redirect_uris=redirect_uris, token_endpoint_auth_method="none"),
        Storage(registered),
        redirect_handler=browser.open,
        callback_handler=arrived,
        client_metadata_url=options.get("client_document"),
    )


async def main() -> None:
    """Connect, then do as told."""
    http = httpx2.AsyncClient(auth=provider(), timeout=20)
    transport = streamable_http_client(options["url"], http_client=http)
    async with http, Client(transport, mode=options["mode"], read_timeout_seconds=20) as client:
        say({"reply": {"protocol": client.protocol_version}})

        async def names() -> list[str]:
            return [tool.name for tool in (await client.list_tools()).tools]

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            text = "".join(part.text for part in result.content)
            return {"text": text, "failed": result.is_error}

        await serve(list=names, call=call)


run(main)
