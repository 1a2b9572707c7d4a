"""The consumer's HTTP: `/livez`, `/readyz`, `/metrics` and `/stats`."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumer.telemetry import brief_connection
from consumer.telemetry.serving import listen, served

Stats = Mapping[str, Any]

_STOP_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so for the consumer to be ready."""

    ok: bool
    detail: str = ""


class ProbeServer:
    """Answers on `HEALTH_PORT` from within the event loop, so that an answer proves it turns."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        live: Callable[[], str | None],
        ready: Callable[[], Mapping[str, Check]],
        stats: Callable[[], Stats | Awaitable[Stats]],
        registry: CollectorRegistry,
    ) -> None:
        """`live` gives the reason why only a restart helps, or None. Port 0 takes any free port."""
        self._host = host
        self.port = port
        self._live = live
        self._ready = ready
        self._stats = stats
        self._registry = registry

    async def __aenter__(self) -> Self:
        self._socket = listen(self._host, self.port, setting="HEALTH_PORT")
        self.port = self._socket.getsockname()[1]
        self._serving = served(
            self._app(),
            self._socket,
            stop_seconds=_STOP_SECONDS,
            options=brief_connection.options(),
        )
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.__aexit__(None, None, None)

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/livez", self._answer_live),
                Route("/readyz", self._answer_ready),
                Route("/metrics", self._answer_metrics),
                Route("/stats", self._answer_stats),
            ]
        )

    async def _answer_live(self, _: Request) -> Response:
        reason = self._live()
        if reason is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "failing", "reason": reason}, status_code=503)

    async def _answer_ready(self, request: Request) -> Response:
        """Answer with every check; `?exclude=not_holding,not_halted` doesn't heed those."""
        return readiness(self._ready(), request)

    async def _answer_metrics(self, _: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def _answer_stats(self, _: Request) -> Response:
        stats = self._stats()
        return JSONResponse(await stats if inspect.isawaitable(stats) else stats)


def readiness(checks: Mapping[str, Check], request: Request) -> Response:
    """Answer with every check: 200 where all are ok but those that the request excludes."""
    given = ",".join(request.query_params.getlist("exclude")).split(",")
    excluded = [name for name in checks if name in given]
    ready = all(check.ok for name, check in checks.items() if name not in excluded)
    shown = {name: asdict(check) for name, check in checks.items()}
    return JSONResponse(
        {"ready": ready, "checks": shown, **({"excluded": excluded} if excluded else {})},
        status_code=200 if ready else 503,
    )
