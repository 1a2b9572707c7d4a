"""Answers the calls that come by the hundred: FastAPI describes them, and isn't in their way.

Its layers take as long as the answer itself: it looks through all routes, and checks a name that
may be any text.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_NAME = "{job_id}"


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A GET whose path ends with the name of a job."""

    path: str
    """As FastAPI has it, and as metrics name it."""
    answer: Callable[[str], Awaitable[Response]]

    def name_in(self, path: str) -> str | None:
        """Return the name in a path. None: the path is another call's."""
        before = self.path.removesuffix(_NAME)
        name = path[len(before) :]
        return name if name and path.startswith(before) and "/" not in name else None


class Direct:
    """The layer before FastAPI, which gets all that is nothing for this one."""

    def __init__(
        self,
        app: ASGIApp,
        calls: Sequence[DirectCall],
        *,
        refuse: Callable[[Exception], Response | None],
        own_up: Callable[[], Response],
    ) -> None:
        """`refuse` makes the answer of a refusal, and None of others; `own_up` that of a fault."""
        self._app = app
        self._calls = calls
        self._refuse = refuse
        self._own_up = own_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call, or leave it to FastAPI."""
        if scope["type"] == "http" and scope["method"] == "GET":
            for call in self._calls:
                name = call.name_in(scope["path"])
                if name is not None:
                    scope["route"] = call
                    await self._answer(call, name, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answer(
        self, call: DirectCall, name: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            response = await call.answer(name)
        except Exception as error:
            refusal = self._refuse(error)
            if refusal is None:
                await self._own_up()(scope, receive, send)
                raise  # the guard writes it into the log
            response = refusal
        await response(scope, receive, send)
