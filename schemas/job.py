"""A job: one photo to turn into masks."""

from functools import cached_property
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from schemas.callback_url import CallbackUrl
from schemas.image_reference import MAX_TEXT, PATTERN, ImageReference
from schemas.message import Count, JobId, Message, Part, Positive
from schemas.timestamp import Timestamp

__all__ = ["OUTPUTS", "Batch", "ImageReference", "Job", "OutputName"]

OutputName = Literal["upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout"]
OUTPUTS: Final[tuple[OutputName, ...]] = get_args(OutputName)
"""All that a job may ask for; what a model can give is in its manifest."""


def _null_is(default: object) -> BeforeValidator:
    """Read null as if the field were absent."""
    return BeforeValidator(lambda value: default if value is None else value)


def _reference(text: str) -> str:
    """Keep the text when it names an object."""
    ImageReference.parse(text)
    return text


def _distinct(outputs: tuple[OutputName, ...]) -> tuple[OutputName, ...]:
    """Refuse an output asked for twice."""
    if len(set(outputs)) < len(outputs):
        raise ValueError("an output is named twice")
    return outputs


Provider = Annotated[
    str,
    Field(min_length=1, max_length=64),
    _null_is("qwen"),
    WithJsonSchema({"type": ["string", "null"], "minLength": 1, "maxLength": 64}),
]
Image = Annotated[
    str,
    Field(max_length=MAX_TEXT, json_schema_extra={"pattern": PATTERN}),
    AfterValidator(_reference),
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
    AfterValidator(_distinct),
]
Metadata = Annotated[
    dict[str, Any], _null_is({}), WithJsonSchema({"type": ["object", "null"], "default": {}})
]


class Batch(Part):
    """A job's place among jobs that were submitted together."""

    batch_id: str = Field(min_length=1, max_length=128)
    """Name of the batch, the same in all its jobs."""
    index: Count
    """Place in the batch, counted from 0."""
    size: Positive
    """Number of jobs in the batch."""


class Job(Message):
    """One photo to turn into masks; absent and null mean the same, unknown fields are ignored."""

    job_id: JobId
    """Name of the job, chosen by its producer; also the record's key."""
    user_id: str = Field(min_length=1, max_length=256)
    """Whose photo it is; handed on to the callback."""
    provider: Provider = "qwen"
    """Handed on to the callback as it is."""
    image: Image
    """The photo: `s3://bucket/key` or `minio://bucket/key`, perhaps with `?versionId=`. The key is
    percent-encoded; decoded once it has 1 to 1,024 bytes of UTF-8 and no NUL."""
    image_sha256: Sha256 | None = None
    """SHA-256 of the photo's bytes in hex: if they differ, the job fails with
    `checksum_mismatch`. Null: not checked."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """A model's name in the catalog. Null: the default body model."""
    outputs: Outputs | None = None
    """What to make, each named once. Null: the model's own choice, from its manifest."""
    batch: Batch | None = None
    """The batch that the job belongs to, if any."""
    callback_url: CallbackUrl | None = None
    """Where to send the masks; its origin must be among `CALLBACK_ALLOWED_ORIGINS`.
    Null: `MASK_ASSET_URL`."""
    submitted_at: Timestamp | None = None
    """When the producer wrote the job."""
    replay_of: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The job that this one does again, if any."""
    metadata: Metadata = Field(default_factory=dict)
    """The producer's own, never looked into."""

    @cached_property
    def image_reference(self) -> ImageReference:
        """Where the photo lies, read from `image` once."""
        return ImageReference.parse(self.image)
