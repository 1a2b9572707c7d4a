"""The responses of the mask-asset service, correct and wrong ones."""

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from producer_tools.local.mask_asset.misbehaviour import Misbehaviour
from schemas.callback import CallbackReply


def success(stored_keys: dict[str, str]) -> Response:
    """Return the response that the masks are stored, and where."""
    reply = CallbackReply(status="success", stored_keys=stored_keys)
    return Response(reply.write(), media_type="application/json")


def failure(status: int, message: str) -> Response:
    """Return the response that the masks are not stored, and why."""
    return JSONResponse({"status": "failure", "message": message}, status)


def wrong_response(misbehaviour: Misbehaviour) -> Response:
    """Return the wrong response that the misbehaviour describes."""
    if misbehaviour.mode == "close":
        return _CutResponse()
    if misbehaviour.mode == "malformed":
        return Response(b'{"status": "succ', media_type="application/json")
    response = failure(misbehaviour.status or 200, "this failure was ordered")
    if misbehaviour.retry_after is not None:
        response.headers["Retry-After"] = misbehaviour.retry_after
    return response


class _CutResponse(Response):
    """A response whose connection ends in the middle of its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the first bytes of a longer body. The server then closes."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"status":', "more_body": True})
