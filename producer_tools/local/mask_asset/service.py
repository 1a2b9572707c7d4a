"""The mask-asset service for tests and the demo: an ASGI application that stores masks."""

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

from producer_tools.local.mask_asset.misbehaviour import (
    MISBEHAVIOUR_LIST,
    Misbehaviour,
    Misbehaviours,
)
from producer_tools.local.mask_asset.multipart import Form, read_form
from producer_tools.local.mask_asset.paths import BEHAVIOUR_PATH, LOG_PATH, UPLOAD_PATH
from producer_tools.local.mask_asset.responses import failure, success, wrong_response
from producer_tools.local.mask_asset.store import MaskStore, MaskStoreError
from producer_tools.local.mask_asset.upload_log import UploadLog
from schemas.callback import AUTH_HEADER, FIELDS, IDEMPOTENCY_HEADER, file_name

_PNG = b"\x89PNG\r\n\x1a\n"


class MaskAssetService:
    """The service's state and its HTTP routes.

    Args:
        store: Where the masks are stored.
        bucket: The bucket in the keys of its responses.
        secret: The value that uploads must have in the header `X-Internal-Auth`.
        remembered: The number of latest idempotency keys and uploads that it remembers.
        misbehaviours: Active from the start.
    """

    def __init__(
        self,
        *,
        store: MaskStore,
        bucket: str,
        secret: str,
        remembered: int,
        misbehaviours: Iterable[Misbehaviour] = (),
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._secret = secret.encode()
        self._remembered = remembered
        self._stored: OrderedDict[str, asyncio.Task[dict[str, str]]] = OrderedDict()
        self._log = UploadLog(remembered)
        self._misbehaviours = Misbehaviours(misbehaviours)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route(UPLOAD_PATH, self.upload, methods=["POST"]),
                Route(BEHAVIOUR_PATH, self.misbehave, methods=["POST"]),
                Route(BEHAVIOUR_PATH, self.behave, methods=["PUT"]),
                Route(LOG_PATH, self.uploads),
                Route("/", self.counters),
            ]
        )

    async def upload(self, request: Request) -> Response:
        """Receive the masks of one job."""
        arrived = time.time()
        form: Form | None = None
        try:
            given = request.headers.get(AUTH_HEADER, "").encode()
            if not hmac.compare_digest(given, self._secret):
                raise PermissionError(f"{AUTH_HEADER} is wrong or missing")
            form = read_form(request.headers.get("content-type", ""), await request.body())
            _check_form(form)
            return await self._store_and_respond(request, form, arrived)
        except PermissionError as error:
            response = failure(401, str(error))
        except ValueError as error:
            response = failure(400, str(error))
        except MaskStoreError as error:
            response = failure(503, str(error))
        self._log.counters["refused"] += 1
        self._log.note(request, form, arrived=arrived, status=response.status_code)
        return response

    async def _store_and_respond(self, request: Request, form: Form, arrived: float) -> Response:
        plan = self._misbehaviours.plan(form.fields["job_id"])
        misbehaviour = plan.misbehaviour
        duplicate = False
        stored_keys: dict[str, str] = {}
        if misbehaviour is None or misbehaviour.store:
            key = request.headers.get(IDEMPOTENCY_HEADER)
            duplicate = key in self._stored
            stored_keys = await (self._store_once(key, form) if key else self._put(form))
        await asyncio.sleep(plan.delay)
        response = wrong_response(misbehaviour) if misbehaviour else success(stored_keys)
        self._log.note(
            request,
            form,
            arrived=arrived,
            status=response.status_code,
            misbehaved=misbehaviour.mode if misbehaviour else None,
            duplicate=duplicate,
        )
        return response

    async def _store_once(self, key: str, form: Form) -> dict[str, str]:
        """Store the form's masks, unless an upload with this idempotency key has stored them."""
        if key not in self._stored:
            self._stored[key] = asyncio.create_task(self._put(form))
            if len(self._stored) > self._remembered:
                self._stored.popitem(last=False)
        try:
            # Shielded, so that a caller that disconnects doesn't cancel what another one waits for.
            return await asyncio.shield(self._stored[key])
        except MaskStoreError:
            self._stored.pop(key, None)  # so that the next upload stores the masks
            raise

    async def _put(self, form: Form) -> dict[str, str]:
        fields = form.fields
        folder = f"masks/{quote(fields['user_id'], safe='')}/{quote(fields['job_id'], safe='')}"
        keys = {name: f"{folder}/{file_name(name)}" for name in form.files}
        await asyncio.gather(
            *(self._store.put(keys[name], png) for name, png in form.files.items())
        )
        self._log.counters["stored"] += 1
        return {name: f"minio://{self._bucket}/{quote(key)}" for name, key in keys.items()}

    async def misbehave(self, request: Request) -> Response:
        """Activate one more misbehaviour."""
        try:
            self._misbehaviours.add(Misbehaviour.model_validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    async def behave(self, request: Request) -> Response:
        """Replace the active misbehaviours."""
        try:
            self._misbehaviours.set(MISBEHAVIOUR_LIST.validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    async def uploads(self, request: Request) -> Response:
        """Return the upload log as JSON lines, from number `?from=` on."""
        first = int(request.query_params.get("from", 0))
        return PlainTextResponse("".join(self._log.lines(first)), media_type="application/jsonl")

    async def counters(self, _request: Request) -> Response:
        """Return the numbers of uploads that arrived, were stored, were refused and so on."""
        return JSONResponse(dict(self._log.counters))


def _check_form(form: Form) -> None:
    """Raise ValueError if the form isn't the one that docs/messages.md describes."""
    for name in FIELDS:
        if name not in form.fields:
            raise ValueError(f"the field {name} is missing")
    if not form.files:
        raise ValueError("there are no files")
    for name, content in form.files.items():
        if not name.isidentifier() or not content.startswith(_PNG):
            raise ValueError(f"the file {name!r} is not a PNG with a plain name")
