"""What the mask-asset service answers, rightly and wrongly."""

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from producer_tools.local.mask_asset.misbehaviour import Misbehaviour


def success(stored_keys: dict[str, str]) -> Response:
    """The masks are kept, and this is where."""
    return JSONResponse({"status": "success", "stored_keys": stored_keys})


def failure(status: int, message: str) -> Response:
    """The masks are not kept, and this is why."""
    return JSONResponse({"status": "failure", "message": message}, status)


def wrong(rule: Misbehaviour) -> Response:
    """What the rule says."""
    if rule.mode == "close":
        return _Cut()
    if rule.mode == "malformed":
        return Response(b'{"status": "succ', media_type="application/json")
    answer = failure(rule.status or 200, "told to fail")
    if rule.retry_after is not None:
        answer.headers["Retry-After"] = rule.retry_after
    return answer


class _Cut(Response):
    """An answer whose connection ends half-way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the first bytes of a longer body; the server then cuts the line."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"status":', "more_body": True})
