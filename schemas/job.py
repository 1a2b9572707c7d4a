"""A job: one photo of which masks are made."""

from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from schemas.callback_url import CallbackUrl
from schemas.image_reference import MAX_TEXT, PATTERN, ImageReference
from schemas.message import Count, JobId, Message, MessagePart, Positive
from schemas.timestamp import Timestamp

__all__ = ["OUTPUTS", "Batch", "ImageReference", "Job", "OutputName"]

OutputName = Literal["upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout"]
OUTPUTS: tuple[OutputName, ...] = get_args(OutputName)
"""Every output that a job may request. A model's manifest states which of them it can make.

`segmentation.model.manifest.OutputName` lists the same names."""


DEFAULT_PROVIDER = "qwen"
"""The first customer's component calls itself `qwen`. The name selects nothing in this service."""


def _null_is(default: object) -> BeforeValidator:
    """Read null as if the field were absent."""
    return BeforeValidator(lambda value: default if value is None else value)


def _check_reference(text: str) -> str:
    """Check that the text is an image reference, and return it unchanged."""
    ImageReference.parse(text)
    return text


def _check_distinct(outputs: tuple[OutputName, ...]) -> tuple[OutputName, ...]:
    """Refuse an output that is named twice."""
    if len(set(outputs)) < len(outputs):
        raise ValueError("an output is named twice")
    return outputs


Provider = Annotated[
    str,
    Field(min_length=1, max_length=64),
    _null_is(DEFAULT_PROVIDER),
    WithJsonSchema({"type": ["string", "null"], "minLength": 1, "maxLength": 64}),
]
Image = Annotated[
    str,
    Field(max_length=MAX_TEXT, json_schema_extra={"pattern": PATTERN}),
    AfterValidator(_check_reference),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$"), AfterValidator(str.lower)]
Outputs = Annotated[
    tuple[OutputName, ...],
    Field(
        min_length=1,
        max_length=len(OUTPUTS),
        fail_fast=True,
        json_schema_extra={"uniqueItems": True},
    ),
    AfterValidator(_check_distinct),
]
Metadata = Annotated[
    dict[str, Any], _null_is({}), WithJsonSchema({"type": ["object", "null"], "default": {}})
]


class Batch(MessagePart):
    """A job's position among the jobs that were submitted together."""

    batch_id: str = Field(min_length=1, max_length=128)
    """Name of the batch, the same in all its jobs."""
    index: Count
    """Position in the batch, counted from 0."""
    size: Positive
    """Number of jobs in the batch."""


class Job(Message):
    """One photo of which masks are made. Null counts as absent. Unknown fields are ignored."""

    job_id: JobId
    """Name of the job, chosen by its producer. It is also the record's key."""
    user_id: str = Field(min_length=1, max_length=256)
    """The user whose photo it is. Sent to the callback."""
    provider: Provider = DEFAULT_PROVIDER
    """Sent to the callback unchanged. It selects nothing in this service: `model` selects the
    model."""
    image: Image
    """The photo: `s3://bucket/key` or `minio://bucket/key`, optionally with `?versionId=`. The key
    is percent-encoded. Once decoded it has 1 to 1,024 bytes of UTF-8 and no NUL."""
    image_sha256: Sha256 | None = None
    """SHA-256 of the photo's bytes in hex. If the photo has another one, the job fails with
    `checksum_mismatch`. Null: not checked."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """A model's name in the catalog. Null: the default body model."""
    outputs: Outputs | None = None
    """The outputs to make, each named once. Null: the outputs that the model's manifest lists."""
    batch: Batch | None = None
    """The batch that the job belongs to, if any."""
    callback_url: CallbackUrl | None = None
    """Where to send the masks. Its origin must be among `CALLBACK_ALLOWED_ORIGINS`.
    Null: `MASK_ASSET_URL`."""
    submitted_at: Timestamp | None = None
    """When the producer wrote the job."""
    replay_of: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The job that this one repeats, if any."""
    metadata: Metadata = Field(default_factory=dict)
    """The producer's own data. The service doesn't read it."""

    @cached_property
    def image_reference(self) -> ImageReference:
        """The photo's bucket, key and version, parsed from `image` once."""
        return ImageReference.parse(self.image)
