"""A pet shop whose tools are generated from its OpenAPI document, by FastMCP 4, beside a few that are written by hand.

Listens at $PORT.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx2
from fastmcp import Context, FastMCP
from fastmcp.server.providers.openapi import MCPType, RouteMap
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PETS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "Rex", "organization_id": "org-a", "chip": "chip-1111", "tags": ["dog"], "born": None},
    2: {"id": 2, "name": "Tom", "organization_id": "org-b", "chip": "chip-2222", "tags": [], "born": "2020-02-02"},
}


async def list_pets(request: Request) -> Response:
    """Pets of one organization, or all of them."""
    wanted = request.query_params.get("organization_id")
    limit = int(request.query_params.get("limit", 10))
    found = [pet for pet in PETS.values() if wanted in (None, pet["organization_id"])]
    return JSONResponse(found[:limit])


async def get_pet(request: Request) -> Response:
    """One pet."""
    pet = PETS.get(request.path_params["pet_id"])
    return JSONResponse(pet) if pet else JSONResponse({"detail": "no such pet"}, 404)


async def add_pet(request: Request) -> Response:
    """Takes a pet, and says how it would look."""
    return JSONResponse({"id": 3, "chip": "chip-3333", "born": None, **await request.json()}, 201)


async def remove_pet(request: Request) -> Response:
    """Nothing is said about it."""
    return Response(status_code=204)


async def list_owners(request: Request) -> Response:
    """Owners of one organization."""
    return JSONResponse({"organizationId": request.query_params["organizationId"], "owners": ["Ann"]})


async def get_shop(request: Request) -> Response:
    """One shop."""
    return JSONResponse({"id": request.path_params["shop_id"], "organization_id": "org-a", "chip": "chip-4444"})


async def hours(_request: Request) -> Response:
    """Plain text."""
    return PlainTextResponse("Mon-Fri 9-17")


shop = Starlette(
    routes=[
        Route("/pets", list_pets),
        Route("/pets", add_pet, methods=["POST"]),
        Route("/pets/{pet_id:int}", get_pet),
        Route("/pets/{pet_id:int}", remove_pet, methods=["DELETE"]),
        Route("/owners", list_owners),
        Route("/shops/{shop_id}", get_shop),
        Route("/hours", hours),
    ]
)

PET = {"$ref": "#/components/schemas/Pet"}


def answer(schema: dict[str, Any], status: str = "200", media: str = "application/json") -> dict[str, Any]:
    """The responses of an operation."""
    return {status: {"description": "ok", "content": {media: {"schema": schema}}}}


def parameter(name: str, place: str, kind: str) -> dict[str, Any]:
    """A parameter of an operation."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Pet shop", "version": "1"},
    "paths": {
        "/pets": {
            "get": {
                "operationId": "listPets",
                "summary": "Pets",
                "parameters": [
                    parameter("limit", "query", "integer"),
                    parameter("organization_id", "query", "string"),
                ],
                "responses": answer({"type": "array", "items": PET}),
            },
            "post": {
                "operationId": "addPet",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewPet"}}},
                },
                "responses": answer(PET, "201"),
            },
        },
        "/pets/{pet_id}": {
            "get": {
                "operationId": "getPet",
                "parameters": [parameter("pet_id", "path", "integer")],
                "responses": answer(PET),
            },
            "delete": {
                "operationId": "removePet",
                "parameters": [parameter("pet_id", "path", "integer")],
                "responses": {"204": {"description": "gone"}},
            },
        },
        "/owners": {
            "get": {
                "operationId": "listOwners",
                "parameters": [{**parameter("organizationId", "query", "string"), "required": True}],
                "responses": answer({"type": "object", "additionalProperties": True}),
            }
        },
        "/shops/{shop_id}": {
            "get": {
                "operationId": "getShop",
                "parameters": [parameter("shop_id", "path", "string")],
                "responses": answer({"type": "object", "additionalProperties": True}),
            }
        },
        "/hours": {
            "get": {
                "operationId": "openingHours",
                "responses": answer({"type": "string"}, media="text/plain"),
            }
        },
    },
    "components": {
        "schemas": {
            "NewPet": {
                "type": "object",
                "required": ["name", "organization_id"],
                "properties": {
                    "name": {"type": "string", "maxLength": 40},
                    "organization_id": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
                },
            },
            "Pet": {
                "allOf": [
                    {"$ref": "#/components/schemas/NewPet"},
                    {
                        "type": "object",
                        "required": ["id", "chip"],
                        "properties": {
                            "id": {"type": "integer"},
                            "chip": {"type": "string", "pattern": "^chip-[0-9]{4}$"},
                            "born": {"type": ["string", "null"], "format": "date"},
                        },
                    },
                ]
            },
        }
    },
}

server = FastMCP.from_openapi(
    DOCUMENT,
    client=httpx2.AsyncClient(transport=httpx2.ASGITransport(shop), base_url="http://shop.example"),
    name="shop",
    route_maps=[
        RouteMap(methods=["GET"], pattern=r"^/hours$", mcp_type=MCPType.RESOURCE),
        RouteMap(methods=["GET"], pattern=r"^/shops/", mcp_type=MCPType.RESOURCE_TEMPLATE),
    ],
)

cancelled: list[str] = []


@server.tool
async def slow(ctx: Context, steps: int = 3) -> str:
    """Reports progress on the way."""
    try:
        for step in range(steps):
            await ctx.report_progress(step, steps, f"step {step}")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        cancelled.append("slow")
        raise
    return "done"


@server.tool
async def was_cancelled() -> int:
    """How many calls were cancelled since the last question."""
    for _ in range(100):
        if cancelled:
            break
        await asyncio.sleep(0.02)
    count = len(cancelled)
    cancelled.clear()
    return count


@server.tool
async def ask(ctx: Context, topic: str) -> str:
    """Asks the user."""
    answer = await ctx.elicit(f"Which {topic}?", response_type=str)
    return f"{answer.action}: {getattr(answer, 'data', None)}"

server.run(transport="http", host="127.0.0.1", port=int(os.environ["PORT"]), show_banner=False)
