"""Reads a form's body piece by piece: texts into memory, files to the disk, both within limits."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import FileIO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from producer_tools.gateway.refusal import bad, no_room
from producer_tools.gateway.sizes import megabytes
from producer_tools.gateway.spool import Spool

_PIECE = 256 * 1024
_TEXT_BYTES = 64 * 1024
"""All texts of a form together."""
_MOST_TEXTS = 50
_LONGEST_NAME = 255
_OVERHEAD = 1024
"""Of a part besides its content: its boundary and its headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a form may have."""

    file_field: str
    """The field with the files. Files of other fields are refused."""
    files: int
    file_bytes: int
    body_bytes: int
    """Of all files together."""

    @property
    def most_bytes(self) -> int:
        """The longest body that can be within the limits."""
        return self.body_bytes + _TEXT_BYTES + (self.files + _MOST_TEXTS) * _OVERHEAD


@dataclass(slots=True)
class Upload:
    """A file of a form."""

    filename: str
    content: FileIO
    """Spooled: an open file without a name."""
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes in hex."""
        return self.digest.hexdigest()


@dataclass(slots=True)
class Form:
    """A form that was read."""

    texts: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)


@asynccontextmanager
async def read_form(request: Request, spool: Spool, limits: Limits) -> AsyncIterator[Form]:
    """Read the form of a request. Its files are there while the block lasts.

    Raises:
        Refused: It is no form, or is not within the limits; or the disk is full.
    """
    boundary = _boundary(request.headers)
    length = _content_length(request.headers)
    if length is not None and length > limits.most_bytes:
        raise bad(_too_large(limits, length))
    with ExitStack() as opened:
        opened.enter_context(spool.reserve(length or limits.most_bytes))
        reading = _Reading(boundary, spool, limits, opened)
        try:
            async for piece in request.stream():
                await reading.feed(piece)
            await reading.end()
        except FormParserError:
            raise bad("The body is no multipart/form-data that can be read.") from None
        except ClientDisconnect:
            raise bad("The body is incomplete.") from None
        except OSError as error:
            raise no_room(f"The upload can't be kept on the disk: {error.strerror}") from error
        yield reading.form


class _Reading:
    """One body, while it is read."""

    def __init__(self, boundary: bytes, spool: Spool, limits: Limits, opened: ExitStack) -> None:
        self.form = Form()
        self._spool = spool
        self._limits = limits
        self._opened = opened
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[bytes, bytes] = {}
        self._text_name: str | None = None
        self._text = bytearray()
        self._text_bytes = 0
        self._texts = 0
        self._file_bytes = 0
        self._upload: Upload | None = None
        self._waiting: list[tuple[Upload, bytes]] = []
        self._waiting_bytes = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_part,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    async def feed(self, piece: bytes) -> None:
        """Read a piece, and write what belongs to files."""
        self._parser.write(piece)
        if self._waiting_bytes >= _PIECE:
            await self._write()

    async def end(self) -> None:
        """Write the rest.

        Raises:
            Refused: The body is incomplete.
        """
        if not self._ended:
            raise bad("The body is no multipart/form-data that can be read.")
        await self._write()

    async def _write(self) -> None:
        """Write in a thread, since a disk may stall."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting:
            await asyncio.to_thread(_write_all, waiting)

    def _begin_part(self) -> None:
        self._headers = {}
        self._text_name, self._upload = None, None

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _open_part(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise bad("A part of the form has no name.")
        if b"filename" in options:
            self._open_file(_text(name), _text(options[b"filename"]))
        else:
            self._texts += 1
            if self._texts > _MOST_TEXTS:
                raise bad(f"The form has more than {_MOST_TEXTS} fields.")
            self._text_name, self._text = _text(name), bytearray()

    def _open_file(self, name: str, filename: str) -> None:
        if name != self._limits.file_field:
            raise bad(f"The form has a file in a field other than `{self._limits.file_field}`.")
        if len(self.form.uploads) == self._limits.files:
            raise bad(f"Too many files. Maximum {self._limits.files} allowed.")
        content = self._opened.enter_context(self._spool.file())
        self._upload = Upload(filename[:_LONGEST_NAME], content)
        self.form.uploads.append(self._upload)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        upload = self._upload
        if upload is None:
            self._text_bytes += end - start
            if self._text_bytes > _TEXT_BYTES:
                raise bad(f"The form's texts have more than {_TEXT_BYTES} bytes.")
            self._text += data[start:end]
            return
        self._file_bytes += end - start
        upload.size += end - start
        if self._file_bytes > self._limits.body_bytes:
            raise bad(_too_large(self._limits, None))
        if upload.size > self._limits.file_bytes:
            raise bad(_file_too_large(self._limits, None))
        self._waiting.append((upload, bytes(data[start:end])))
        self._waiting_bytes += end - start

    def _end_part(self) -> None:
        if self._text_name is not None:
            if self._text_name in self.form.texts:
                raise bad("The form has a field twice.")
            self.form.texts[self._text_name] = _text(bytes(self._text))

    def _end(self) -> None:
        self._ended = True


def _write_all(waiting: list[tuple[Upload, bytes]]) -> None:
    for upload, piece in waiting:
        rest = memoryview(piece)
        upload.digest.update(rest)
        while rest:
            rest = rest[upload.content.write(rest) :]


def _boundary(headers: Mapping[str, str]) -> bytes:
    kind, options = parse_options_header(headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise bad("The body must be multipart/form-data.")
    return boundary


def _content_length(headers: Mapping[str, str]) -> int | None:
    """Return the body's length. None: it isn't known. h11 has checked that it is a number."""
    given = headers.get("content-length")
    return None if given is None else int(given)


def _too_large(limits: Limits, length: int | None) -> str:
    """Say it in seed 3's words. Of a body that isn't read to its end only a bound is known."""
    if limits.files == 1:
        return _file_too_large(limits, length)
    most = megabytes(limits.body_bytes)
    found = f"more than {most}" if length is None else megabytes(length)
    return f"Images too large ({found}). Maximum {most} allowed."


def _file_too_large(limits: Limits, length: int | None) -> str:
    most = megabytes(limits.file_bytes)
    found = f"more than {most}" if length is None else megabytes(length)
    return f"Image too large ({found}). Maximum {most} allowed."


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise bad("The form has a text that is not UTF-8.") from None
