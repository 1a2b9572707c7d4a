"""`/livez`, `/readyz`, `/metrics`, `/health`, `/api/v1/health`."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from consumer.telemetry.probes import Check, readiness
from consumer.telemetry.secrets import Secrets
from producer_tools.gateway.metrics import Metrics
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.refusal import Refused

_OK = {200: {"description": "All is well."}, 503: {"description": "Something is missing."}}


class Health(BaseModel):
    """Whether the gateway serves, and how many photos aren't settled."""

    status: str
    queue_size: int


class ModelHealth(Health):
    """The same, and the models."""

    model: str
    models: list[str]


class Live(BaseModel):
    """The loop turns."""

    status: str


@dataclass(frozen=True, slots=True)
class _Health:
    parts: Parts
    metrics: Metrics
    secrets: Secrets

    async def live(self) -> Response:
        """Say that the gateway runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Answer with every check; `?exclude=storage` doesn't heed that one."""
        return readiness(self._checks(), request)

    async def show_metrics(self) -> Response:
        """Give the metrics in Prometheus' format."""
        return Response(self.metrics.text(), media_type=self.metrics.media_type)

    async def health(self) -> Response:
        """Say whether the gateway serves, as seed 1 does."""
        status, size = await self._status()
        body = Health(status=status, queue_size=size)
        return JSONResponse(body.model_dump(), status_code=200 if status == "ok" else 503)

    async def health_of_models(self) -> Response:
        """Say the same, and which models there are."""
        status, size = await self._status()
        models = self.parts.models
        body = ModelHealth(
            status=status, queue_size=size, model=models.default, models=list(models.names)
        )
        return JSONResponse(body.model_dump(), status_code=200 if status == "ok" else 503)

    def _checks(self) -> dict[str, Check]:
        problems = {
            "rights": self.parts.rights.missing,
            "view": self.parts.keeper.problem,
            "storage": self.parts.storage.problem,
            "spool": self.parts.spool.problem(),
        }
        return {
            name: Check(ok=problem is None, detail=self.secrets.hide(problem or ""))
            for name, problem in problems.items()
        }

    async def _status(self) -> tuple[str, int]:
        wrong = [check.detail for check in self._checks().values() if not check.ok]
        try:
            size = await self.parts.keeper.ask(lambda queries: queries.totals().unsettled)
        except Refused as refused:
            wrong, size = wrong or [refused.detail], 0
        return (wrong[0] if wrong else "ok"), size


def router(parts: Parts, metrics: Metrics, secrets: Secrets) -> APIRouter:
    """Return the calls."""
    health, calls = _Health(parts, metrics, secrets), APIRouter(tags=["health"])
    calls.add_api_route("/livez", health.live, response_model=Live)
    calls.add_api_route("/readyz", health.ready, responses=_OK)  # type: ignore[arg-type]
    calls.add_api_route(
        "/metrics",
        health.show_metrics,
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "The metrics."}},
    )
    for path, call, model in (
        ("/health", health.health, Health),
        ("/api/v1/health", health.health_of_models, ModelHealth),
    ):
        calls.add_api_route(
            path,
            call,
            response_model=model,
            responses={503: {"model": model, "description": "It doesn't serve, and why."}},
        )
    return calls
