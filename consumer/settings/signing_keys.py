"""The secrets that sign callbacks, in the form of Standard Webhooks."""

import base64
import binascii

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with, none itself
LEAST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a key."""


def parse_keys(secrets: str) -> tuple[bytes, ...]:
    """Return the keys of one secret, or of two with a comma between them.

    Raises:
        ValueError: A secret isn't base64 of 24 to 64 bytes, or there are more than two.
    """
    keys = tuple(_parse_key(secret.strip()) for secret in secrets.split(","))
    if len(keys) > 2:
        raise ValueError("has more than two secrets; two are enough while one replaces the other")
    return keys


def _parse_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not LEAST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            f"must be {SECRET_PREFIX} and base64 of {LEAST_KEY} to {LONGEST_KEY} bytes, or two of"
            " them with a comma between"
        )
    return key
