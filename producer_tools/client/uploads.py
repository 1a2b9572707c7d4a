"""Uploads photos to S3, and reads objects back. Keys are random: no upload overwrites another."""

import asyncio
import hashlib
import uuid
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from threading import Lock
from typing import IO, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from consumer.s3.daemon_threads import DaemonThreads
from consumer.settings import S3Settings
from producer_tools.errors import PhotoError, ServiceError
from schemas.job import ImageReference

Opened = BytesIO | BufferedReader | FileIO

UPLOAD_SECONDS = 300.0
"""The longest time for one photo, repeated tries included."""
_TRIES = 4


class Uploads:
    """Uploads photos, so many at once. A file is read piece by piece and never held in memory."""

    def __init__(
        self, settings: S3Settings, *, at_once: int, seconds: float = UPLOAD_SECONDS
    ) -> None:
        """`seconds` is the longest time for one object, repeated tries included."""
        self._settings = settings
        self._seconds = seconds
        self._bucket = settings.upload_bucket
        self._at_once = at_once
        self._slots = asyncio.Semaphore(at_once)
        # Daemon threads, because Ctrl-C must not wait for a server that doesn't answer.
        self._threads = DaemonThreads("uploads")
        self._client_lock = Lock()
        self._client: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        self._threads.close()

    def renew(self, settings: S3Settings) -> None:
        """Sign with these settings' keys from the next object on."""
        with self._client_lock:  # what is under way keeps the client that it has
            self._settings, self._client = settings, None

    def new_reference(self) -> ImageReference:
        """Return a place for a photo at which there is none."""
        return ImageReference(self._bucket, uuid.uuid4().hex)

    async def put(
        self,
        photo: bytes | Path | FileIO,
        reference: ImageReference,
        *,
        sha256: str | None = None,
    ) -> str:
        """Upload the photo, and return its SHA-256 in hex: the given one, if it is known already.

        Raises:
            PhotoError: The file can't be read.
            ServiceError: S3 can't be reached, or refuses the photo.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._threads.run(partial(self._put, photo, reference, sha256))
            except TimeoutError:
                raise self._failed(f"no photo was stored within {self._seconds:g} s") from None

    async def get(self, reference: ImageReference, *, max_bytes: int) -> bytes:
        """Read an object of at most `max_bytes`.

        Raises:
            ServiceError: S3 can't be reached, has no such object, or it is too large.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._threads.run(partial(self._get, reference, max_bytes))
            except TimeoutError:
                raise ServiceError(f"{reference} wasn't read in {self._seconds:g} s") from None

    async def check(self) -> None:
        """Ask for the bucket.

        Raises:
            ServiceError: S3 can't be reached, or doesn't have it for us.
        """
        try:
            async with asyncio.timeout(self._seconds):
                await self._threads.run(self._check)
        except TimeoutError:
            raise self._failed(f"no answer within {self._seconds:g} s") from None

    def _check(self) -> None:
        try:
            self._s3().head_bucket(Bucket=self._bucket)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._failed(str(error)) from error

    def _get(self, reference: ImageReference, max_bytes: int) -> bytes:
        """Read it, in a thread."""
        try:
            found = self._s3().get_object(Bucket=reference.bucket, Key=reference.key)
            with closing(found["Body"]) as body:
                content: bytes = body.read(max_bytes + 1)
        except (BotoCoreError, ClientError, HTTPError, ValueError) as error:
            raise ServiceError(f"{reference} can't be read: {error}") from error
        if len(content) > max_bytes:
            raise ServiceError(f"{reference} has more than {max_bytes} bytes")
        return content

    def _put(
        self, photo: bytes | Path | FileIO, reference: ImageReference, known_sha256: str | None
    ) -> str:
        """Upload it, in a thread."""
        try:
            if isinstance(photo, Path) and not photo.is_file():  # a pipe would block for ever
                raise PhotoError(f"{photo!s:.1000}: there is no such file")
            with _opened(photo) as content:
                content.seek(0)
                sha256 = known_sha256 or hashlib.file_digest(content, "sha256").hexdigest()
                content.seek(0)
                self._send(content, reference)
                return sha256
        except OSError as error:
            raise PhotoError(f"{photo!s:.1000}: {error.strerror or error}") from error

    def _send(self, content: IO[bytes], reference: ImageReference) -> None:
        try:
            self._s3().put_object(Bucket=reference.bucket, Key=reference.key, Body=content)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._failed(str(error)) from error

    def _s3(self) -> Any:
        """Return the client. It is made when it is first used, since that takes a while."""
        with self._client_lock:
            if self._client is None:
                self._client = _client(self._settings, connections=self._at_once)
            return self._client

    def _failed(self, reason: str) -> ServiceError:
        where = self._settings.s3_endpoint_url or f"AWS ({self._settings.s3_region})"
        return ServiceError(
            f"The photo can't be stored in UPLOAD_BUCKET={self._bucket} of S3 at {where}: {reason}."
            " `maskline doctor` says what is wrong"
        )


def _opened(
    photo: bytes | Path | FileIO,
) -> AbstractContextManager[BytesIO | BufferedReader | FileIO]:
    """Open the photo. A file that is open already stays so."""
    if isinstance(photo, bytes):
        return BytesIO(photo)
    return photo.open("rb") if isinstance(photo, Path) else nullcontext(photo)


def _client(settings: S3Settings, *, connections: int) -> Any:
    """Return a boto3 client. It reads files, and may ask for credentials: call it in a thread."""
    config = Config(
        max_pool_connections=connections,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        proxies={},  # none, whatever HTTP_PROXY says
        user_agent="maskline",
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of our own: boto3's default one is shared by the whole process and not thread-safe.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        config=config,
        verify=None if settings.aws_ca_bundle is None else str(settings.aws_ca_bundle),
        **_keys(settings),
    )


def _keys(settings: S3Settings) -> dict[str, str]:
    """Return the settings' own keys. Without them boto3 asks AWS's credential chain."""
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    found: dict[str, SecretStr | None] = {name: getattr(settings, name) for name in names}
    return {name: key.get_secret_value() for name, key in found.items() if key is not None}
