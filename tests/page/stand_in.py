"""A stand-in for the gateway: tells the page what a test wants it to hear."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from producer_tools.local import ports
from tests.page.pictures import Pictures
from tests.page.scenes import JsonObject, ago, job

PAGE = Path(__file__).parents[2] / "producer_tools" / "gateway" / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STATES = {"queued": [], "processing": ["processing"], "retrying": ["processing", "retrying"]}


class StandIn:
    """Serves the page and its calls from a thread, as a context manager."""

    # The overview is the scene as it is, so the page must add all events that it has heard.

    def __init__(self, scene: JsonObject, pictures: Sequence[Pictures]) -> None:
        self.scene = scene
        self.pictures = pictures
        self.key: str | None = None
        self.problem: str | None = None
        self.port = ports.choose("the stand-in gateway", setting="")
        self.cancelled: list[str] = []
        self.calls: list[str] = []
        self._streams: set[asyncio.Queue[bytes]] = set()
        self._events: list[tuple[int, bytes]] = []
        self._next = 0
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """The page's."""
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, on the port of the last time."""
        config = uvicorn.Config(
            Starlette(routes=self._routes()),
            host="127.0.0.1",
            port=self.port,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = Thread(target=lambda: asyncio.run(self._serve(server)), daemon=True)
        self._thread.start()
        while not server.started:
            assert self._thread.is_alive(), "the stand-in doesn't start"
            self._thread.join(0.01)

    async def _serve(self, server: uvicorn.Server) -> None:
        self._loop = asyncio.get_running_loop()
        await server.serve()

    def stop(self) -> None:
        """Hang up on all."""
        assert self._server is not None
        assert self._thread is not None
        self._server.force_exit = self._server.should_exit = True
        self.send(b"")
        self._thread.join()

    def emit(self, event: JsonObject) -> None:
        """Tell all streams of an event."""
        self._next += 1
        number = self._next
        text = f"id: {number}\nevent: {event['state']}\ndata: {json.dumps(event)}\n\n".encode()
        self._events.append((number, text))
        self.send(text)

    def forget_events(self) -> None:
        """Keep no events for streams that come again."""
        self._events.clear()

    def send(self, text: bytes) -> None:
        """Write to all streams."""
        assert self._loop is not None
        for queue in list(self._streams):
            self._loop.call_soon_threadsafe(queue.put_nowait, text)

    def _routes(self) -> list[Route]:
        return [
            Route("/", self._index),
            Route("/page/{name}", self._file),
            Route("/api/v1/overview", self._overview),
            Route("/api/v1/health", self._health),
            Route("/api/v1/events", self._stream),
            Route("/api/v1/jobs/{id}", self._job),
            Route("/api/v1/jobs/{id}/preview", self._preview),
            Route("/api/v1/jobs/{id}/result", self._result),
            Route("/api/v1/status/{id}", self._status),
            Route("/queue/stats", self._stats),
            Route("/queue/submit", self._submit, methods=["POST"]),
            Route("/queue/job/{id}/cancel", self._cancel, methods=["POST"]),
        ]

    async def _index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    async def _file(self, request: Request) -> Response:
        return FileResponse(PAGE / Path(request.path_params["name"]).name)

    def _refused(self, request: Request) -> Response | None:
        self.calls.append(f"{request.method} {request.url.path}")
        if self.key is None or request.headers.get("x-api-key") == self.key:
            return None
        return JSONResponse({"detail": "Missing or wrong X-API-Key."}, 401)

    async def _overview(self, request: Request) -> Response:
        if self.problem is not None:
            return JSONResponse({"detail": self.problem}, 503)
        scene = self.scene | {"now": ago(0), "events_before": 0}
        return self._refused(request) or JSONResponse(scene)

    async def _health(self, request: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "model": "body-regions", "models": ["body-regions", "u2net"]}
        )

    async def _stats(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse({"stats": {}, "worker": {}})

    async def _stream(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        last = request.headers.get("last-event-id")
        missed = [] if last is None else [text for n, text in self._events if n > int(last)]
        return StreamingResponse(self._texts(missed), media_type="text/event-stream")

    async def _texts(self, missed: Sequence[bytes]) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams.add(queue)
        try:
            yield b": hello\n\n" + b"".join(missed)
            while text := await queue.get():
                yield text
        finally:
            self._streams.discard(queue)

    def _found(self, job_id: str) -> JsonObject:
        lists = ("begun", "next", "completed", "failed")
        jobs = [each for name in lists for each in self.scene[name]]
        found = [each for each in jobs if each["job_id"] == job_id]
        return dict(found[0] if found else job(1, "gone.jpg", job_id=job_id))

    def _picture(self, request: Request) -> Pictures:
        found = self._found(request.path_params["id"])
        named = [each for each in self.pictures if each.name == found["filename"]]
        return (named or list(self.pictures))[0]

    async def _job(self, request: Request) -> Response:
        found = self._found(request.path_params["id"])
        return self._refused(request) or JSONResponse(detail(found, self._picture(request)))

    async def _preview(self, request: Request) -> Response:
        picture = self._picture(request)
        alone = request.query_params.get("show") == "photo"
        content = picture.photo if alone else picture.masks
        return self._refused(request) or Response(content, media_type="image/jpeg")

    async def _result(self, request: Request) -> Response:
        content = self._picture(request).outputs[request.query_params["output"]]
        return self._refused(request) or Response(content, media_type="image/png")

    async def _status(self, request: Request) -> Response:
        found = self._found(request.path_params["id"])
        return self._refused(request) or JSONResponse({"status": found["state"], "error": None})

    async def _submit(self, request: Request) -> Response:
        async with request.form() as form:
            name = form["images"].filename  # type: ignore[union-attr]
        new = job(900 + len(self.calls), str(name))
        self.scene["next"].append(new)
        return self._refused(request) or JSONResponse(
            {"job_id": new["job_id"], "status": "queued", "files_count": 1}
        )

    async def _cancel(self, request: Request) -> Response:
        self.cancelled.append(request.path_params["id"])
        return self._refused(request) or JSONResponse({"status": "cancelled"})


def event(of: Mapping[str, Any], state: str, **fields: object) -> JsonObject:
    """Return an event of a job."""
    return {
        "event_id": f"{of['offset']}-{state}",
        "job_id": of["job_id"],
        "user_id": of["user_id"],
        "provider": "qwen",
        "batch": of["batch"],
        "state": state,
        "occurred_at": ago(0),
        "attempt": of["attempt"],
        "source": {"topic": "mask.jobs", "partition": 0, "offset": of["offset"]},
        "worker": "pod-0",
        "model": {"name": "body-regions", "sha256": "ab" * 32},
        "result": None,
        "error": None,
        "timings_ms": None,
        "replay_of": None,
        "replay_id": None,
    } | fields


def detail(found: JsonObject, picture: Pictures) -> JsonObject:
    """Return all that the gateway tells of one job."""
    ended = found["state"] in ("completed", "failed", "cancelled")
    result = None
    if found["state"] == "completed":
        result = {
            "stored_keys": {
                output: f"minio://masks/{found['job_id']}/{output}.png"
                for output in picture.outputs
            },
            "width": picture.width,
            "height": picture.height,
            "coverage": dict(picture.coverage),
        }
    states = _STATES.get(found["state"], ["processing", found["state"]])
    events = [event(found, state, occurred_at=found["begun_at"]) for state in states]
    if events:
        events[-1].update(error=found["error"], result=result)
    if ended:
        events[-1]["occurred_at"] = found["ended_at"]
    return found | {
        "topic": "mask.jobs",
        "position": 4 if found["state"] == "queued" else None,
        "image": f"s3://mask-uploads/{found['user_id']}/{found['filename']}",
        "model_asked": None,
        "outputs_asked": ["upper_body_mask", "lower_body_mask", "cutout"],
        "model_sha256": "ab" * 32 if ended else None,
        "metadata": {"filename": found["filename"]},
        "replay_of": None,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "result": result,
        "timings_ms": _TIMINGS if found["state"] == "completed" else None,
        "events": events,
    }


_TIMINGS = {
    "queued": 8412.0,
    "fetch": 6.1,
    "preprocess": 18.2,
    "segment": 212.4,
    "masks": 7.9,
    "callback": 14.0,
    "total": 260.3,
}
