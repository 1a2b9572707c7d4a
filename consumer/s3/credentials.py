"""Our keys of S3: the settings' own, or what AWS's credential chain gives.

Whatever is wrong with them is ours and no photo's. The chain may ask STS or run a program, so one
thread asks it for all fetches; while there are keys, nobody waits for newer ones.
"""

import asyncio
import time
from typing import Any

import botocore.session
import structlog
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)

from consumer.errors import StartError, Unavailable
from consumer.s3.daemon_threads import DaemonThreads
from consumer.settings import S3Settings

log = structlog.get_logger()

ASK_SECONDS = 20.0
"""So long a fetch, or the start, waits for the chain."""

RENEW_SECONDS = 60.0
"""So often the chain is asked again; it renews keys itself, ten minutes before they expire."""

_CLIENT = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"total_max_attempts": 2},
    proxies={},  # none, whatever HTTP_PROXY says
    user_agent="maskline",
)
_AWAY = (ClientError, NoConnection, CredentialRetrievalError, HTTPClientError)
"""What the chain raises where somebody whom it asks has no credentials now."""


class _Missed(Exception):
    """The chain has no keys for us now."""


class _WrongChain(_Missed):
    """The chain can't be asked: a profile, or a program that it names, isn't there."""


class Credentials:
    """The keys that requests are signed with."""

    def __init__(self, settings: S3Settings, *, threads: DaemonThreads) -> None:
        self._region = settings.s3_region
        self._threads = threads
        self._fixed = _of_settings(settings)
        self._keys: ReadOnlyCredentials | None = None
        self._session: Any = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._failure: Exception | None = None

    async def check(self) -> None:
        """Ask the chain a first time.

        Raises:
            StartError: a profile, or a program that it names, can't be used. A service that can't
                be asked now is no reason: the first fetch will hold.
        """
        if self._fixed is None:
            await self._wait(self._ask(), ASK_SECONDS)
            if isinstance(self._failure, _WrongChain):
                raise StartError(
                    "The AWS profile, or the credential_process that it names, can't be used:"
                    f" {self._failure}",
                    exit_code=2,
                )

    async def current(self, *, timeout: float) -> ReadOnlyCredentials:
        """Give the keys, waiting for them `timeout` seconds at the most.

        Raises:
            Unavailable: there are none, and why. It is no photo's fault.
        """
        if self._fixed is not None:
            return self._fixed
        asking = self._ask()
        if self._keys is None:
            await self._wait(asking, min(timeout, ASK_SECONDS))
        if self._keys is not None:
            return self._keys
        reason = self._failure or f"no answer in {min(timeout, ASK_SECONDS):g} s"
        raise Unavailable(
            "storage_unavailable", f"no credentials for S3: {reason}"[:500], stage="fetch"
        )

    def renew(self, settings: S3Settings) -> None:
        """Take these settings' keys from the next fetch on."""
        self._fixed = _of_settings(settings)

    def refused(self, keys: ReadOnlyCredentials) -> None:
        """S3 refuses these keys: ask the whole chain anew, files included, for the next fetch."""
        if keys == self._keys:
            self._keys = self._session = None
            self._asked_at = 0.0

    async def close(self) -> None:
        """Wait for the chain no more; its daemon thread doesn't delay the exit."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    def _ask(self) -> asyncio.Task[None] | None:
        """Begin to ask where that is due; give the asking under way, if there is one."""
        asking = self._asking is not None and not self._asking.done()
        due = self._keys is None or time.monotonic() - self._asked_at > RENEW_SECONDS
        if due and not asking:
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._renew(), name="s3.credentials")
        return self._asking

    async def _wait(self, asking: asyncio.Task[None] | None, timeout: float) -> None:
        if asking is not None:
            await asyncio.wait([asking], timeout=timeout)

    async def _renew(self) -> None:
        self._failure = None
        try:
            self._keys = await self._threads.run(self._ask_chain)
        except Exception as error:
            self._failure, self._session = error, None
            if self._keys is not None:
                log.warning("credentials.not_renewed", reason=str(error))

    def _ask_chain(self) -> ReadOnlyCredentials:
        """Ask in a thread. botocore renews what expires."""
        try:
            session = self._session or _new_session(self._region)
            found = session.get_credentials()
        except _AWAY as error:
            raise _Missed(_reason(error)) from error
        except Exception as error:  # a file, a program or what it prints
            raise _WrongChain(_reason(error)) from error
        self._session = session
        if found is None:
            raise _Missed(_reason(NoCredentialsError()))
        try:
            keys: ReadOnlyCredentials = found.get_frozen_credentials()
        except Exception as error:
            whom = "STS" if found.method.startswith("assume-role") else found.method
            raise _Missed(f"from {whom}: {_reason(error)}") from error
        return keys


def _of_settings(settings: S3Settings) -> ReadOnlyCredentials | None:
    key, secret, token = (
        secret and secret.get_secret_value()
        for secret in (
            settings.aws_access_key_id,
            settings.aws_secret_access_key,
            settings.aws_session_token,
        )
    )
    return ReadOnlyCredentials(key, secret, token) if key and secret else None


def _new_session(region: str) -> Any:
    """Make a session that reads AWS's files again; of its clients, only those of the chain are."""
    session = botocore.session.Session()
    session.set_default_client_config(_CLIENT)
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", region)  # STS has one in each region
    return session


def _reason(error: Exception) -> str:
    """What an error says, with its kind where the words alone might not tell."""
    if isinstance(error, ClientError | BotoCoreError):
        return str(error)
    return f"{type(error).__name__}: {error}"
