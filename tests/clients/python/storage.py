"""Where an SDK keeps what it got from the authorization server: in memory."""

from __future__ import annotations

from typing import Any


class Storage:
    """Both lines of the SDK take an object of this shape as their `TokenStorage`."""

    def __init__(self, client: Any = None) -> None:
        self.client = client
        self.tokens: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info
