"""Takes the steps of the matrix with the official Python client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from pydantic import BaseModel

from ..harness.waiting import PATIENCE_S
from .plan import STEP_LIMIT_S, Outcome, Run


def run(url: str, token: str | None, steps: list[dict[str, Any]], roots: list[dict[str, str]]) -> Run:
    """Take the steps one after the other."""
    with warnings.catch_warnings():
        # Of functions for earlier versions of the protocol: these servers have them.
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        return asyncio.run(_Stepper(roots).run(url, token, steps))


class _RecordedStream(httpx2.AsyncByteStream):
    """A body that is noted while it is read."""

    def __init__(self, stream: httpx2.AsyncByteStream, wire: list[str]) -> None:
        self.stream, self.wire = stream, wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        place = len(self.wire)
        self.wire.append("")
        async for chunk in self.stream:
            self.wire[place] += chunk.decode("utf-8", "replace")
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


class _Recording(httpx2.AsyncHTTPTransport):
    """Notes everything the server sends."""

    def __init__(self, wire: list[str]) -> None:
        super().__init__()
        self.wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        self.wire.append(str(response.headers.multi_items()))
        response.stream = _RecordedStream(response.stream, self.wire)
        return response


class _Stepper:
    def __init__(self, roots: list[dict[str, str]]) -> None:
        self.roots = roots
        self.wire: list[str] = []
        # Methods of notifications and requests of the server.
        self.heard: set[str] = set()
        # What the server asked or told during the step.
        self.asked: list[dict[str, Any]] = []
        self.step: dict[str, Any] = {}
        self.client: Client

    async def run(self, url: str, token: str | None, steps: list[dict[str, Any]]) -> Run:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        http = httpx2.AsyncClient(headers=headers, transport=_Recording(self.wire), timeout=PATIENCE_S)
        outcomes: dict[str, Outcome] = {}
        try:
            async with http, self._client(streamable_http_client(url, http_client=http)) as self.client:
                for self.step in steps:
                    self.asked = []
                    outcomes[self.step["name"]] = await self._outcome(getattr(self, f"_{self.step['do']}"))
        except Exception as error:
            lost = _failure(error)
            return Run({step["name"]: outcomes.get(step["name"], lost) for step in steps}, self.wire)
        return Run(outcomes, self.wire)

    def _client(self, transport: Any) -> Client:
        return Client(
            transport,
            cache=None,
            client_info=types.Implementation(name="field", version="1"),
            elicitation_callback=self._elicited,
            sampling_callback=self._sampled,
            list_roots_callback=self._roots_listed,
            message_handler=self._told,
            read_timeout_seconds=PATIENCE_S,
        )

    async def _outcome(self, work: Callable[..., Awaitable[Any]]) -> Outcome:
        try:
            with anyio.fail_after(STEP_LIMIT_S):
                outcome: Outcome = {"result": _plain(await work(**_parameters(self.step)))}
        except TimeoutError:
            outcome = {"failed": "no answer in time"}
        except Exception as error:
            outcome = _failure(error)
        return {**outcome, "asked": self.asked} if self.asked else outcome

    # What the server asks.

    async def _elicited(self, _context: Any, params: Any) -> types.ElicitResult:
        self._note("elicitation/create", params)
        return types.ElicitResult(action="accept", content=self.step.get("answer"))

    async def _sampled(self, _context: Any, params: Any) -> types.CreateMessageResult:
        self._note("sampling/createMessage", params)
        text = types.TextContent(type="text", text=self.step.get("answer") or "sampled")
        return types.CreateMessageResult(role="assistant", model="field", content=text)

    async def _roots_listed(self, _context: Any) -> types.ListRootsResult:
        self.heard.add("roots/list")
        return types.ListRootsResult(roots=[types.Root.model_validate(each) for each in self.roots])

    async def _told(self, message: Any) -> None:
        if method := getattr(message, "method", None):
            self.heard.add(method)

    def _note(self, method: str, params: Any) -> None:
        noted = {name: value for name, value in _plain(params).items() if name != "_meta"}
        self.asked.append({"method": method, "params": noted})

    # The steps.

    async def _initialize(self) -> Any:
        client = self.client
        return {
            "protocol": client.protocol_version,
            "server": _plain(client.server_info),
            "capabilities": _plain(client.server_capabilities),
            "instructions": client.instructions,
        }

    async def _list(self, of: str) -> Any:
        client = self.client
        listing = {
            "tools": client.list_tools,
            "prompts": client.list_prompts,
            "resources": client.list_resources,
            "resourceTemplates": client.list_resource_templates,
        }[of]
        pages: list[Any] = []
        cursor: str | None = None
        while True:
            page = _plain(await listing(cursor=cursor))
            cursor = page.pop("nextCursor", None)
            pages.append(page)
            if cursor is None:
                return {"pages": pages}

    async def _call(
        self,
        tool: str,
        arguments: dict[str, Any],
        meta: dict[str, Any] | None = None,
        progress: bool = False,
        cancel: bool = False,
    ) -> Any:
        with anyio.CancelScope() as scope:

            async def note(progress: float, total: float | None, message: str | None) -> None:
                self.asked.append({"method": "notifications/progress", "params": [progress, total, message]})
                if cancel:
                    scope.cancel()

            callback = note if progress or cancel else None
            return await self.client.call_tool(tool, arguments, progress_callback=callback, meta=meta)
        self.asked = []
        return {"cancelled": True}

    async def _prompt(self, prompt: str, arguments: dict[str, str]) -> Any:
        return await self.client.get_prompt(prompt, arguments)

    async def _read(self, uri: str) -> Any:
        return await self.client.read_resource(uri)

    async def _subscribe(self, uri: str) -> Any:
        return await self.client.subscribe_resource(uri)

    async def _unsubscribe(self, uri: str) -> Any:
        return await self.client.unsubscribe_resource(uri)

    async def _complete(
        self, ref: dict[str, str], argument: dict[str, str], context: dict[str, Any] | None = None
    ) -> Any:
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        known = (context or {}).get("arguments")
        return await self.client.complete(kind.model_validate(ref), argument, context_arguments=known)

    async def _ping(self) -> Any:
        return await self.client.send_ping()

    async def _level(self, level: types.LoggingLevel) -> Any:
        return await self.client.set_logging_level(level)

    async def _wait(self, **parameters: str) -> Any:
        while parameters["for"] not in self.heard:
            await anyio.sleep(0.02)
        return {"heard": parameters["for"]}


def _parameters(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in ("name", "do", "answer")}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, mode="json", exclude_none=True)
    return value


def _failure(error: BaseException) -> Outcome:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return {"error": _plain(error.error)}
    return {"failed": f"{type(error).__name__}: {error}"}
