"""Signatures of callbacks, by Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def signature_headers(
    keys: tuple[bytes, ...], *, idempotency_key: str, body_digest: str, seconds: int
) -> Mapping[str, str]:
    """Return the headers that sign a body, with a signature for each key.

    `body_digest` is the SHA-256 of the body in hex. `seconds` is the time of this try, since 1970.
    """
    webhook_id = hashlib.sha256(idempotency_key.encode()).hexdigest()
    signed = f"{webhook_id}.{seconds}.{signed_payload(body_digest)}".encode()
    signatures = (hmac.digest(key, signed, "sha256") for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }


def signed_payload(body_digest: str) -> str:
    """Return the payload that is signed in place of the body, which isn't text."""
    return f'{{"body_sha256":"{body_digest}"}}'
