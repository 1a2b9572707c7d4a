"""`/api/v1/jobs/{id}/result` and `/preview`: masks and photos, from listed buckets alone."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from PIL import Image

from consumer.errors import JobFailed
from consumer.s3.fetch import check_allowed
from producer_tools.contact_sheet import masked
from producer_tools.errors import ServiceError
from producer_tools.gateway.common import errors, model_of
from producer_tools.gateway.finding import find_job, not_found, result_name
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.refusal import Refused, unavailable
from producer_tools.view.queries import Story
from producer_tools.view.tables import Shown
from schemas.job import ImageReference, OutputName
from segmentation.deadline import Deadline
from segmentation.errors import SegmentationError
from segmentation.photo.decode import decode
from segmentation.photo.limits import ImageLimits

PREVIEW_SIDE = 512
_PNG = b"\x89PNG\r\n\x1a\n"
_RESULT_BYTES = 64 * 1024 * 1024
_DECODE_SECONDS = 10.0
_DRAWN = ("upper_body_mask", "lower_body_mask", "alpha_mask")
_PRIVATE = {"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class _Pictures:
    parts: Parts
    drawing: asyncio.Semaphore

    async def result(
        self, job_id: str, output: Annotated[OutputName | None, Query()] = None
    ) -> Response:
        """Give a mask of a completed job: that of `output`, or the model's first."""
        story = await self._find(job_id)
        stored = _stored(story)
        if not stored:
            raise Refused(404, f"Job {story.row.job_id} has no results: it is not completed.")
        model = model_of(story, self.parts.models.default)
        name = output or self.parts.models.first_output(model, tuple(stored))
        if name not in stored:
            raise Refused(404, f"Job {story.row.job_id} has no {name}, but {', '.join(stored)}.")
        content = await self._read_mask(stored[name])
        headers = {
            **_PRIVATE,
            "Content-Disposition": f'inline; filename="{result_name(story, model)}"',
        }
        return Response(content, media_type="image/png", headers=headers)

    async def preview(
        self, job_id: str, show: Annotated[Literal["masks", "photo"], Query()] = "masks"
    ) -> Response:
        """Give a small picture of the photo, with its masks drawn on it once there are any.

        `show=photo` gives the photo alone.
        """
        story = await self._find(job_id)
        photo = await self._read_photo(story)
        masks = {
            name: await self._read_mask(key)
            for name, key in _stored(story).items()
            if name in _DRAWN and show == "masks"
        }
        async with self.drawing:
            content = await asyncio.to_thread(self._draw, photo, masks)
        return Response(content, media_type="image/jpeg", headers=_PRIVATE)

    async def _find(self, job_id: str) -> Story:
        story = await find_job(self.parts.keeper, job_id)
        if story is None:
            raise not_found(job_id, self.parts.settings.view.job_ttl_seconds)
        return story

    async def _read_mask(self, stored_key: str) -> bytes:
        buckets = self.parts.settings.gateway.result_buckets
        reference = _allowed(stored_key, buckets, "RESULT_BUCKETS")
        content = await self._read(reference, _RESULT_BYTES)
        if not content.startswith(_PNG):
            raise Refused(404, "What is stored there is no PNG.")
        return content

    async def _read_photo(self, story: Story) -> bytes:
        s3 = self.parts.settings.s3
        image = story.job.get("image")
        if image is None:
            raise Refused(404, f"Job {story.row.job_id} has no photo.")
        reference = _allowed(
            str(image), (s3.upload_bucket, *s3.s3_allowed_buckets), "S3_ALLOWED_BUCKETS"
        )
        return await self._read(reference, self.parts.settings.images.max_image_bytes)

    async def _read(self, reference: ImageReference, most: int) -> bytes:
        try:
            return await self.parts.uploads.get(reference, max_bytes=most)
        except ServiceError as error:
            missing = "NoSuchKey" in str(error) or "NoSuchBucket" in str(error)
            if missing or "more than" in str(error):
                raise Refused(404, "The object isn't there any more, or is too large.") from error
            raise unavailable("S3 doesn't give the object now. Please try again later.") from error

    def _draw(self, photo: bytes, masks: dict[str, bytes]) -> bytes:
        images = self.parts.settings.images
        limits = ImageLimits(
            images.max_image_bytes, images.max_image_pixels, frozenset(images.image_formats)
        )
        try:
            decoded = decode(
                photo,
                limits=limits,
                deadline=Deadline(_DECODE_SECONDS),
                sufficient_size=_small,
            ).picture
            decoded.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
            drawn = masked(decoded, masks)
        except (SegmentationError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise Refused(404, f"There is no preview of this photo: {error}") from error
        jpeg = io.BytesIO()
        drawn.save(jpeg, format="JPEG", quality=85)
        return jpeg.getvalue()


def router(parts: Parts) -> APIRouter:
    """Return the calls."""
    pictures = _Pictures(parts, asyncio.Semaphore(2))
    calls = APIRouter(prefix="/api/v1/jobs", tags=["results"])
    for path, call, kind in (
        ("/{job_id}/result", pictures.result, "image/png"),
        ("/{job_id}/preview", pictures.preview, "image/jpeg"),
    ):
        calls.add_api_route(
            path,
            call,
            response_class=Response,
            responses={
                200: {"content": {kind: {}}, "description": "The picture."},
                **errors(400, 404),
            },
        )
    return calls


def _stored(story: Story) -> dict[str, str]:
    if story.row.shown is not Shown.COMPLETED or story.event is None or story.event.result is None:
        return {}
    return story.event.result.stored_keys


def _allowed(text: str, buckets: Sequence[str], setting: str) -> ImageReference:
    """Return the object, if it is in one of the buckets.

    Raises:
        Refused: 404, it isn't, or is no object of S3: URLs are not followed.
    """
    if not buckets:
        raise Refused(404, f"The gateway may read no masks: {setting} is empty.")
    try:
        reference = ImageReference.parse(text)
        check_allowed(reference, tuple(buckets))
    except ValueError:
        raise Refused(404, "What is stored is no s3:// or minio:// reference.") from None
    except JobFailed:
        raise Refused(404, f"The object is in no bucket of {setting}.") from None
    return reference


def _small(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
