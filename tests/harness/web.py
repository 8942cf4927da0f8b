"""Requests of programs beside the filter, such as a look at a provider: with httpx, and patient."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx

from .waiting import PATIENCE_S


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """As `httpx.request`, on a connection of its own."""
    return httpx.request(method, url, **{"timeout": PATIENCE_S, **options})


get = partial(request, "GET")
post = partial(request, "POST")
