"""Passwords of SCRAM users, replaced while the broker runs (KIP-554)."""

import hashlib
import os
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_SHA_512, _ITERATIONS = 2, 4096


class _AlterResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Alter(Request[_AlterStruct]):  # type: ignore[misc]
    API_KEY = 51

    def __init__(self, user: str, password: str) -> None:
        self._user, self._salt = user, os.urandom(16)
        self._salted = hashlib.pbkdf2_hmac("sha512", password.encode(), self._salt, _ITERATIONS)

    def build(self, request_struct_class: Any) -> Any:
        new: tuple[Any, ...] = (self._user, _SHA_512, _ITERATIONS, self._salt, self._salted, {})
        return request_struct_class([], [new], {})


async def replace_password(admin: AIOKafkaAdminClient, user: str, password: str) -> None:
    """Give a user another password; the one before is refused from then on."""
    answer = await admin._send_to_controller(_Alter(user, password))
    assert [(name, code) for name, code, *_ in answer.results] == [(user, 0)]
