"""How the Python clients sign in; their SDK is in the environment of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dialogue import Browser, options
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from storage import Storage


def provider(scope: str, result: Callable[[dict[str, str]], Any]) -> OAuthClientProvider:
    """As itself if it has a secret, else for a user. `scope` is the SDK's name for that, and `result`
    makes what it wants of the parameters that came back."""
    if "client_secret" in options:
        return ClientCredentialsOAuthProvider(
            options["url"],
            Storage(),
            options["client_id"],
            options["client_secret"],
            issuer=options["issuer"],
            **{scope: options.get("scope")},
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

    async def arrived() -> Any:
        return result(await browser.arrived())

    return OAuthClientProvider(
        options["url"],
        OAuthClientMetadata(redirect_uris=redirect_uris, token_endpoint_auth_method="none"),
        Storage(registered),
        redirect_handler=browser.open,
        callback_handler=arrived,
        client_metadata_url=options.get("client_document"),
    )
