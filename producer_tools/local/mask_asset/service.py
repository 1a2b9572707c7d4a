"""The mask-asset service: takes masks over HTTP, keeps them, answers where. For tests and demo."""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Iterable
from urllib.parse import quote

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from producer_tools.local.mask_asset.misbehaviour import RULES, Misbehaviour, Misbehaviours
from producer_tools.local.mask_asset.multipart import Form, read_form
from producer_tools.local.mask_asset.responses import failure, success, wrong
from producer_tools.local.mask_asset.store import MaskStore, MaskStoreError
from producer_tools.local.mask_asset.upload_log import UploadLog

_PNG = b"\x89PNG\r\n\x1a\n"


class MaskAssetService:
    """The service's state and its answers.

    Args:
        store: Where the masks go.
        bucket: The bucket that the answered keys name.
        secret: What X-Internal-Auth must say.
        remembered: How many idempotency keys and uploads are remembered, the latest.
        rules: In force from the beginning.
    """

    def __init__(
        self,
        *,
        store: MaskStore,
        bucket: str,
        secret: str,
        remembered: int,
        rules: Iterable[Misbehaviour] = (),
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._secret = secret.encode()
        self._remembered = remembered
        self._stored: OrderedDict[str, asyncio.Task[dict[str, str]]] = OrderedDict()
        self._log = UploadLog(remembered)
        self._misbehaviours = Misbehaviours(rules)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/mask/upload", self.upload, methods=["POST"]),
                Route("/behaviour", self.misbehave, methods=["POST"]),
                Route("/behaviour", self.behave, methods=["PUT"]),
                Route("/uploads", self.uploads),
                Route("/", self.counters),
            ]
        )

    async def upload(self, request: Request) -> Response:
        """Take one job's masks."""
        arrived = time.time()
        form: Form | None = None
        try:
            given = request.headers.get("x-internal-auth", "").encode()
            if not hmac.compare_digest(given, self._secret):
                raise PermissionError("X-Internal-Auth is wrong or missing")
            form = read_form(request.headers.get("content-type", ""), await request.body())
            _check(form)
            return await self._take(request, form, arrived)
        except PermissionError as error:
            answer = failure(401, str(error))
        except ValueError as error:
            answer = failure(400, str(error))
        except MaskStoreError as error:
            answer = failure(503, str(error))
        self._log.counters["refused"] += 1
        self._log.note(request, form, arrived=arrived, status=answer.status_code)
        return answer

    async def _take(self, request: Request, form: Form, arrived: float) -> Response:
        plan = self._misbehaviours.plan(form.fields["job_id"])
        rule = plan.wrong
        duplicate = False
        stored_keys: dict[str, str] = {}
        if rule is None or rule.store:
            key = request.headers.get("idempotency-key")
            duplicate = key in self._stored
            stored_keys = await (self._store_once(key, form) if key else self._put(form))
        await asyncio.sleep(plan.delay)
        answer = wrong(rule) if rule else success(stored_keys)
        self._log.note(
            request,
            form,
            arrived=arrived,
            status=answer.status_code,
            misbehaved=rule.mode if rule else None,
            duplicate=duplicate,
        )
        return answer

    async def _store_once(self, key: str, form: Form) -> dict[str, str]:
        """Store the form's masks, unless its idempotency key has come before."""
        if key not in self._stored:
            self._stored[key] = asyncio.create_task(self._put(form))
            if len(self._stored) > self._remembered:
                self._stored.popitem(last=False)
        try:
            # Shielded: a caller that hangs up must not undo what a second caller waits for.
            return await asyncio.shield(self._stored[key])
        except MaskStoreError:
            self._stored.pop(key, None)  # the next try stores it
            raise

    async def _put(self, form: Form) -> dict[str, str]:
        fields = form.fields
        folder = f"masks/{quote(fields['user_id'], safe='')}/{quote(fields['job_id'], safe='')}"
        keys = {name: f"{folder}/{name}.png" for name in form.files}
        await asyncio.gather(
            *(self._store.put(keys[name], png) for name, png in form.files.items())
        )
        self._log.counters["stored"] += 1
        return {name: f"minio://{self._bucket}/{quote(key)}" for name, key in keys.items()}

    async def misbehave(self, request: Request) -> Response:
        """Put one rule in force."""
        try:
            self._misbehaviours.add(Misbehaviour.model_validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    async def behave(self, request: Request) -> Response:
        """Put a list of rules in force, and no others."""
        try:
            self._misbehaviours.set(RULES.validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    async def uploads(self, request: Request) -> Response:
        """The log as JSON lines, from number `?from=` on."""
        first = int(request.query_params.get("from", 0))
        return PlainTextResponse("".join(self._log.lines(first)), media_type="application/jsonl")

    async def counters(self, _request: Request) -> Response:
        """How many uploads came, and what became of them."""
        return JSONResponse(dict(self._log.counters))


def _check(form: Form) -> None:
    """Raise ValueError when the form isn't that of CONTRACT 5."""
    for name in ("user_id", "job_id", "provider"):
        if name not in form.fields:
            raise ValueError(f"the field {name} is missing")
    if not form.files:
        raise ValueError("there are no files")
    for name, content in form.files.items():
        if not name.isidentifier() or not content.startswith(_PNG):
            raise ValueError(f"the file {name!r} is not a PNG with a plain name")
