"""Access tokens for Kafka's OAUTHBEARER, by OAuth's client credentials (RFC 6749, section 4.4)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

REQUEST_SECONDS = 10.0
MAX_RESPONSE = 256 * 1024
_LIFE = 0.8
"""Share of a token's life for which it is used: the broker must still take it when it arrives."""


class TokenRefused(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """The token endpoint gives no token. The message says why, and has no secret."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who we are to the token endpoint."""

    url: str
    client_id: str
    client_secret: str
    scope: str | None


_replaced: dict[ClientCredentials, ClientCredentials] = {}
"""Credentials that others have taken the place of."""


def replace_credentials(old: ClientCredentials, new: ClientCredentials) -> None:
    """Ask by the new credentials from now on, also where a provider was made with the old ones."""
    _replaced.pop(new, None)
    _replaced[old] = new


class _Token(BaseModel):
    """The endpoint's response (RFC 6749, section 5.1)."""

    model_config = ConfigDict(extra="ignore")

    access_token: str = Field(min_length=1)
    expires_in: float = Field(60, gt=0)


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """Gives an access token that is valid, and asks for another before it expires."""

    def __init__(
        self, credentials: ClientCredentials, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._token = ""
        self._until = -1.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a token for a new connection.

        Raises:
            TokenRefused: there is none within 10 s.
        """
        async with self._asking:
            if self._clock() >= self._until:
                asked = self._clock()
                token = await self._ask()
                self._token, self._until = token.access_token, asked + _LIFE * token.expires_in
        return self._token

    async def _ask(self) -> _Token:
        while self._credentials in _replaced:
            self._credentials = _replaced[self._credentials]
        ours = self._credentials
        form = {"grant_type": "client_credentials"} | ({"scope": ours.scope} if ours.scope else {})
        where = f"KAFKA_OAUTH_TOKEN_URL={ours.url}"
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                httpx.AsyncClient(trust_env=False, timeout=REQUEST_SECONDS) as client,
                client.stream(
                    "POST", ours.url, data=form, auth=(ours.client_id, ours.client_secret)
                ) as response,
            ):
                body = await _read(response)
        except TimeoutError:
            raise TokenRefused(f"{where} gives no answer in {REQUEST_SECONDS:.0f} s") from None
        except httpx.HTTPError as error:
            raise TokenRefused(f"{where} gives no answer: {error or repr(error)}") from None
        if response.status_code in (400, 401, 403):
            raise TokenRefused(
                f"{where} answers {response.status_code}: are KAFKA_OAUTH_CLIENT_ID,"
                " KAFKA_OAUTH_CLIENT_SECRET and KAFKA_OAUTH_SCOPE right?"
            )
        if not response.is_success:
            raise TokenRefused(f"{where} answers {response.status_code}")
        try:
            return _Token.model_validate_json(body)
        except ValidationError:
            raise TokenRefused(f"{where} answers without an access_token") from None


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_RESPONSE:
            raise httpx.DecodingError(f"it has more than {MAX_RESPONSE} bytes")
    return bytes(body)
