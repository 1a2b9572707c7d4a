"""Puts the calls together."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from consumer.errors import StartError
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.tracing import Tracing
from producer_tools.gateway import (
    health,
    job_story,
    live_page,
    overview,
    pictures,
    seed1,
    seed2,
    seed3,
    streams,
)
from producer_tools.gateway.access import Access
from producer_tools.gateway.cancelling import Cancels
from producer_tools.gateway.direct import Direct
from producer_tools.gateway.guard import Guard
from producer_tools.gateway.metrics import Metrics
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.refusal import Refused, unavailable

_DESCRIPTION = "Photos of people in, body-region masks out: HTTP in front of a line's topics."


def make_app(
    parts: Parts,
    *,
    cancels: Cancels,
    access: Access,
    metrics: Metrics,
    tracing: Tracing,
    secrets: Secrets,
) -> ASGIApp:
    """Return the gateway as an ASGI application."""
    app = FastAPI(
        title="Maskline",
        description=_DESCRIPTION,
        version="1",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in (
        seed1.router(parts),
        seed2.router(parts, cancels),
        seed3.router(parts),
        streams.router(parts),
        pictures.router(parts),
        overview.router(parts),
        job_story.router(parts),
        health.router(parts, metrics, secrets),
        live_page.router(),
    ):
        app.include_router(router)

    def refusal(error: Exception) -> Response | None:
        if isinstance(error, StartError):  # a file of Kafka's has gone: it waits for mending
            error = unavailable(str(error))
        return error.response(secrets.hide) if isinstance(error, Refused) else None

    async def refuse(_request: Request, error: Exception) -> Response:
        response = refusal(error)
        assert response is not None  # noqa: S101 - for the type
        return response

    app.add_exception_handler(Refused, refuse)
    app.add_exception_handler(StartError, refuse)
    app.add_exception_handler(RequestValidationError, _refuse_input)
    app.add_exception_handler(HTTPException, _refuse_path)
    app.add_exception_handler(Exception, _own_up)
    _without_422(app)
    hot = [*seed2.direct_calls(parts, cancels), *seed3.direct_calls(parts)]
    return Guard(
        Direct(app, hot, refuse=refusal, own_up=_internal_error),
        access=access,
        metrics=metrics,
        tracing=tracing,
        limit=parts.settings.gateway.upload_max_bytes,
    )


async def _refuse_input(_request: Request, error: Exception) -> Response:
    """Say in one sentence which input is wrong."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"detail": f"{name}: {first['msg']}."[:500]}, status_code=400)


async def _refuse_path(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type
    return JSONResponse(
        {"detail": f"{error.detail}."}, status_code=error.status_code, headers=error.headers
    )


async def _own_up(_request: Request, _error: Exception) -> Response:
    return _internal_error()


def _internal_error() -> Response:
    return JSONResponse({"detail": "Internal error."}, status_code=500)


def _without_422(app: FastAPI) -> None:
    """Describe no 422 but that of `/process`: what FastAPI answers so is 400 here."""
    schema = app.openapi()
    for path, calls in schema["paths"].items():
        for call in calls.values():
            if path != "/process":
                call["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
