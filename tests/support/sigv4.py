"""What S3 does with a signature: computes it anew from the request as it came over the wire."""

import hashlib
import hmac
import re

from tests.support.receiver import Seen


def is_signed_with(secret: str, request: Seen, *, method: str = "GET") -> bool:
    """Whether the request bears the signature that AWS's Signature Version 4 asks for."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\S+), SignedHeaders=(\S+), Signature=(\S+)",
        request.headers["Authorization"],
    )
    assert found is not None
    scope, names, signature = found.groups()
    path, _, query = request.target.partition("?")
    lines = [f"{name}:{' '.join(request.headers[name].split())}" for name in names.split(";")]
    payload = request.headers["X-Amz-Content-SHA256"]
    canonical = "\n".join([method, path, query, *lines, "", names, payload])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", request.headers["X-Amz-Date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in [*scope.split("/"), to_sign]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(key.hex(), signature)
