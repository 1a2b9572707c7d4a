"""Who may call: keys, compared in constant time, and browsers of other sites."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from producer_tools.gateway.refusal import Refused

OPEN_PATHS = frozenset({"/", "/health", "/api/v1/health", "/livez", "/readyz", "/metrics"})
PAGE_FOLDER = "/page/"
_OURS = ("same-origin", "none")


class Access:
    """The keys, and the origins of other sites that may call."""

    def __init__(self, keys: Sequence[str], origins: Sequence[str]) -> None:
        self._keys = [_digest(key) for key in keys]
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def renew(self, keys: Sequence[str]) -> None:
        """Let callers in by these keys from now on; none are no news: they would let in anybody."""
        if keys:
            self._keys = [_digest(key) for key in keys]

    @property
    def is_open(self) -> bool:
        """Whether anybody may call."""
        return not self._keys

    def allows(self, origin: str | None) -> bool:
        """Whether browsers may call from pages of this origin."""
        return origin is not None and origin.lower() in self._origins

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Return if the request may be served.

        Raises:
            Refused: 401 or 403.
        """
        if method == "POST":
            self._check_site(headers)
        public = path in OPEN_PATHS or path.startswith(PAGE_FOLDER)
        if self._keys and not public and not self._has_key(headers.get("x-api-key", "")):
            raise Refused(401, "The header X-API-Key is missing or wrong.")

    def _has_key(self, given: str) -> bool:
        digest = _digest(given)
        found = False
        for key in self._keys:  # all of them, so that the time says nothing
            found |= hmac.compare_digest(key, digest)
        return found

    def _check_site(self, headers: Mapping[str, str]) -> None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if self.allows(origin):
            return
        if site is not None:
            same = site in _OURS
        else:
            same = origin is None or _authority(origin) == headers.get("host", "").lower()
        if not same:
            raise Refused(403, "Requests of other sites are not served: CORS_ALLOWED_ORIGINS.")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _authority(origin: str) -> str:
    return origin.lower().partition("://")[2]
