"""What many tests run with each of: protocol versions, ways to send, and ways to answer."""

from __future__ import annotations

import pytest

from .answers import event_stream, json_answer
from .messages import LEGACY, MODERN

ERAS = pytest.mark.parametrize("era", [LEGACY, MODERN])
# How the official client negotiates: handshake, version pin, or probing for either.
MODES = pytest.mark.parametrize("mode", ["legacy", MODERN, "auto"])
CLIENTS = pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])

STYLES = pytest.mark.parametrize("style", ["json", "events"])
# The same, as what makes an answer of a message.
STYLED = pytest.mark.parametrize("style", [json_answer, event_stream], ids=["json", "events"])

# What ends a message.
ENDS = pytest.mark.parametrize("trailers", [[], [("x-checksum", "1")]], ids=["plain", "trailers"])
