"""The received bytes of a connection, in pieces that never reach past the end of a response.

httpcore hands every byte that it reads to its parser, and bytes behind the end of one response
become the beginning of the next one. Every head and every chunked body end with an empty line,
and all other bodies have a known length. So the pieces end at these places. Bytes that were not
asked for stay in the buffer, where the owner of the connection sees them.
"""

import re

import httpx

MAX_HEAD = 64 * 1024
"""Bytes of a response's head, including all `100 Continue` before it."""

_END = b"\r\n\r\n"
_FINAL_STATUS = re.compile(rb"(?:\A|\r\n\r\n)HTTP/1\.\d [2-9]")


class ResponseTooLong(Exception):
    """A response has more bytes than allowed."""


class ResponseBuffer:
    """The bytes of one connection that the parser has not taken yet."""

    def __init__(self, *, max_response: int) -> None:
        """`max_response` is the limit of a whole response, framing included, in bytes."""
        self._max_response = max_response
        self._bytes = bytearray()
        self.begin()

    def __len__(self) -> int:
        return len(self._bytes)

    def begin(self) -> None:
        """Expect a new response, beginning with its head."""
        self._limit = MAX_HEAD
        self._taken = 0
        self._tail = b""
        self._left: int | None = None

    def expect_body(self, headers: httpx.Headers) -> None:
        """Expect the body that belongs to these headers."""
        self._limit = self._max_response
        if "transfer-encoding" not in headers and "content-length" in headers:
            self._left = int(headers["content-length"].partition(",")[0])  # h11 has checked it

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._bytes += data

    def take(self, most: int) -> bytes:
        """Remove and return the next bytes, at most `most` and never past a response's end.

        Raises:
            ResponseTooLong: The response exceeds its limit.
        """
        piece = bytes(self._bytes[: min(most, self._until_end())])
        del self._bytes[: len(piece)]
        self._taken += len(piece)
        if self._taken > self._limit:
            raise ResponseTooLong
        if self._left is None:
            self._tail = (self._tail + piece)[-len(_END) + 1 :]
        else:
            self._left -= len(piece)
        return piece

    def has_final_status(self) -> bool:
        """Whether a response other than 1xx has begun. Call it before the first `take`."""
        return _FINAL_STATUS.search(self._bytes) is not None

    def _until_end(self) -> int:
        """Return the number of bytes up to the next place where a response may end."""
        if self._left is not None:
            return self._left
        end = (self._tail + self._bytes).find(_END)
        return len(self._bytes) if end < 0 else end + len(_END) - len(self._tail)
