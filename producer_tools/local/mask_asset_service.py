"""The mask-asset service: takes masks over HTTP, keeps them, answers where. For tests and demo."""

import asyncio
import hmac
import json
import time
from collections import Counter, OrderedDict, deque
from dataclasses import asdict, dataclass
from urllib.parse import quote

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from producer_tools.local.mask_store import MaskStore
from producer_tools.local.misbehaviour import Misbehaviour, Misbehaviours
from producer_tools.local.multipart import Form, read_form

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Upload:
    """One line of the log: an upload as it came and the answer that it got.

    Attributes:
        number: Counts all uploads, from 0.
        time: When it had arrived, seconds since the epoch.
        status: The HTTP status that was answered.
        misbehaved: The mode of the rule that decided the answer, if one did.
        duplicate: Whether its Idempotency-Key had been stored before.
        sizes: Bytes by file name.
    """

    number: int
    time: float
    job_id: str | None
    user_id: str | None
    provider: str | None
    idempotency_key: str | None
    traceparent: str | None
    status: int
    misbehaved: str | None = None
    duplicate: bool = False
    sizes: dict[str, int] | None = None


class Cut(Response):
    """An answer whose connection ends half-way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the first bytes of a longer body; the server then cuts the line."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"status":', "more_body": True})


class MaskAssetService:
    """The service's state and its answers.

    Args:
        store: Where the masks go.
        bucket: The bucket that the answered keys name.
        secret: What X-Internal-Auth must say.
        remembered: How many idempotency keys and log lines are kept, the latest.
    """

    def __init__(self, *, store: MaskStore, bucket: str, secret: str, remembered: int) -> None:
        self._store = store
        self._bucket = bucket
        self._secret = secret.encode()
        self._remembered = remembered
        self._answers: OrderedDict[str, asyncio.Task[dict[str, str]]] = OrderedDict()
        self._log: deque[Upload] = deque(maxlen=remembered)
        self._counters = Counter(uploads=0, stored=0, duplicates=0, refused=0, misbehaved=0)
        self._misbehaviours = Misbehaviours()

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/mask/upload", self.upload, methods=["POST"]),
                Route("/behaviour", self.misbehave, methods=["POST"]),
                Route("/behaviour", self.behave, methods=["DELETE"]),
                Route("/uploads", self.uploads),
                Route("/", self.counters),
            ]
        )

    async def upload(self, request: Request) -> Response:
        """Take one job's masks."""
        arrived = time.time()
        given = request.headers.get("x-internal-auth", "").encode()
        if not hmac.compare_digest(given, self._secret):
            return self._refuse(request, arrived, 401, "X-Internal-Auth is wrong or missing")
        try:
            form = read_form(request.headers.get("content-type", ""), await request.body())
            _check(form)
        except ValueError as error:
            return self._refuse(request, arrived, 400, str(error))
        return await self._take(request, arrived, form)

    async def _take(self, request: Request, arrived: float, form: Form) -> Response:
        plan = self._misbehaviours.plan(form.fields["job_id"])
        wrong = plan.wrong
        duplicate = False
        stored_keys: dict[str, str] = {}
        if wrong is None or wrong.store:
            duplicate, stored_keys = await self._store_once(request, form)
        await asyncio.sleep(plan.delay)
        answer = _wrong(wrong) if wrong else _success(stored_keys)
        self._counters["misbehaved"] += wrong is not None
        self._counters["duplicates"] += duplicate
        self._note(request, arrived, answer.status_code, form, wrong, duplicate)
        return answer

    async def _store_once(self, request: Request, form: Form) -> tuple[bool, dict[str, str]]:
        """Store the form's masks, unless its idempotency key has come before."""
        key = request.headers.get("idempotency-key")
        task = self._answers.get(key) if key else None
        duplicate = task is not None
        if task is None:
            task = asyncio.create_task(self._put(form))
            if key:
                self._answers[key] = task
                if len(self._answers) > self._remembered:
                    self._answers.popitem(last=False)
        try:
            # Shielded: a caller that hangs up must not undo what a second caller waits for.
            return duplicate, await asyncio.shield(task)
        except Exception:
            if key:
                self._answers.pop(key, None)
            raise

    async def _put(self, form: Form) -> dict[str, str]:
        fields = form.fields
        folder = f"masks/{quote(fields['user_id'], safe='')}/{quote(fields['job_id'], safe='')}"
        keys = {name: f"{folder}/{name}.png" for name in form.files}
        await asyncio.gather(
            *(self._store.put(keys[name], png) for name, png in form.files.items())
        )
        self._counters["stored"] += 1
        return {name: f"minio://{self._bucket}/{quote(key)}" for name, key in keys.items()}

    def _refuse(self, request: Request, arrived: float, status: int, message: str) -> Response:
        self._counters["refused"] += 1
        self._note(request, arrived, status)
        return JSONResponse({"status": "failure", "message": message}, status)

    def _note(
        self,
        request: Request,
        arrived: float,
        status: int,
        form: Form | None = None,
        wrong: Misbehaviour | None = None,
        duplicate: bool = False,
    ) -> None:
        fields = form.fields if form else {}
        self._log.append(
            Upload(
                number=self._counters["uploads"],
                time=arrived,
                job_id=fields.get("job_id"),
                user_id=fields.get("user_id"),
                provider=fields.get("provider"),
                idempotency_key=request.headers.get("idempotency-key"),
                traceparent=request.headers.get("traceparent"),
                status=status,
                misbehaved=wrong.mode if wrong else None,
                duplicate=duplicate,
                sizes={name: len(png) for name, png in form.files.items()} if form else None,
            )
        )
        self._counters["uploads"] += 1

    async def misbehave(self, request: Request) -> Response:
        """Put one rule in force."""
        try:
            self._misbehaviours.add(Misbehaviour.model_validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    async def behave(self, _request: Request) -> Response:
        """Put every rule out of force."""
        self._misbehaviours.clear()
        return Response(status_code=204)

    async def uploads(self, request: Request) -> Response:
        """The log as JSON lines, from number `?from=` on, at most `?limit=` of them."""
        first = int(request.query_params.get("from", 0))
        limit = int(request.query_params.get("limit", self._remembered))
        wanted = [upload for upload in self._log if upload.number >= first][:limit]
        lines = "".join(f"{json.dumps(asdict(upload))}\n" for upload in wanted)
        return PlainTextResponse(lines, media_type="application/jsonl")

    async def counters(self, _request: Request) -> Response:
        """How many uploads came, and what became of them."""
        return JSONResponse(dict(self._counters))


def _check(form: Form) -> None:
    for name in ("user_id", "job_id", "provider"):
        if name not in form.fields:
            raise ValueError(f"the field {name} is missing")
    if not form.files:
        raise ValueError("there are no files")
    for name, content in form.files.items():
        if not name.isidentifier() or not content.startswith(_PNG):
            raise ValueError(f"the file {name!r} is not a PNG with a plain name")


def _success(stored_keys: dict[str, str]) -> Response:
    return JSONResponse({"status": "success", "stored_keys": stored_keys})


def _wrong(rule: Misbehaviour) -> Response:
    if rule.mode == "close":
        return Cut()
    if rule.mode == "malformed":
        return Response(b'{"status": "succ', media_type="application/json")
    told = {"status": "failure", "message": "told to fail"}
    if rule.mode == "failure":
        return JSONResponse(told)
    headers = {"Retry-After": rule.retry_after} if rule.retry_after else None
    return JSONResponse(told, rule.status or 500, headers)
