"""`GET /`: the live page, from files of the package, under a strict content security policy."""

import mimetypes
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response

from producer_tools.gateway.access import PAGE_FOLDER
from producer_tools.gateway.refusal import Refused

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_INDEX = "index.html"


class Page:
    """The page's files, read once."""

    def __init__(self) -> None:
        folder = Path(str(files("producer_tools.gateway") / "page"))
        self._files = {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    async def index(self) -> Response:
        """Give the page itself."""
        return self._file(_INDEX)

    async def file(self, name: str) -> Response:
        """Give a file of the page."""
        return self._file(name)

    def _file(self, name: str) -> Response:
        content = self._files.get(name)
        if content is None:
            raise Refused(404, "The page has no such file.")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(content, media_type=kind, headers=_HEADERS)


def router() -> APIRouter:
    """Return the calls."""
    page, calls = Page(), APIRouter(include_in_schema=False)
    calls.add_api_route("/", page.index)
    calls.add_api_route(f"{PAGE_FOLDER}{{name:path}}", page.file)
    return calls
