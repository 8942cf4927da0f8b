"""A server that gets messages about calls that wait for approval."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ..harness.http_server import Asked, HttpServer, KeyAnswer

SECRET = "the secret of the webhook of the tests"
PATH = "/approvals"


class Hooks(HttpServer):
    """It notes each message, and answers with the next status, or 204."""

    method = "POST"

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Asked] = []
        self.statuses: list[int] = []

    def answer(self, asked: Asked) -> KeyAnswer:
        """Note a message."""
        self.messages.append(asked)
        return KeyAnswer(self.statuses.pop(0) if self.statuses else 204)


def is_signed(message: Asked) -> bool:
    """Whether the signature is that of the secret (Standard Webhooks)."""
    names = ("webhook-id", "webhook-timestamp")
    signed = ".".join([*(message.headers[name] for name in names), message.body])
    expected = base64.b64encode(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256)).decode()
    return message.headers["webhook-signature"] == f"v1,{expected}"
