"""A job: one photo to turn into masks."""

import ipaddress
from functools import cached_property
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.image_reference import MAX_TEXT, PATTERN, ImageReference
from schemas.message import Count, JobId, Message, Part, Timestamp

__all__ = ["OUTPUTS", "Batch", "ImageReference", "Job", "OutputName"]

OutputName = Literal["upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout"]
OUTPUTS: Final[tuple[OutputName, ...]] = get_args(OutputName)
"""All that a job may ask for; what a model can give is in its manifest."""

URL_PATTERN: Final = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"([/?#][!-\[\]-~]*)?$"
)
"""An absolute http or https URL in printable ASCII, without user, password or backslash."""


def _reference(text: str) -> str:
    """Keep the text when it names an object."""
    ImageReference.parse(text)
    return text


def _reachable(url: str) -> str:
    """Keep a URL whose host and port can exist; the pattern has settled its form."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.port == 0:
        raise ValueError("port 0 can't be called")
    if host.replace(".", "").isdigit():
        ipaddress.IPv4Address(host)
    return url


def _distinct(outputs: tuple[OutputName, ...]) -> tuple[OutputName, ...]:
    """Refuse an output asked for twice."""
    if len(set(outputs)) < len(outputs):
        raise ValueError("an output is named twice")
    return outputs


def _null_is(default: object) -> BeforeValidator:
    """Read null as if the field were absent."""
    return BeforeValidator(lambda value: default if value is None else value)


class Batch(Part):
    """A job's place among jobs that were submitted together."""

    batch_id: str = Field(min_length=1, max_length=128)
    """Name of the batch, the same in all its jobs."""
    index: Count
    """Place in the batch, counted from 0."""
    size: Annotated[Count, Field(ge=1)]
    """Number of jobs in the batch."""


class Job(Message):
    """One photo to turn into masks; absent and null mean the same, unknown fields are ignored."""

    job_id: JobId
    """Name of the job, chosen by its producer; also the record's key."""
    user_id: str = Field(min_length=1, max_length=256)
    """Whose photo it is; handed on to the callback."""
    provider: Annotated[str, Field(min_length=1, max_length=64), _null_is("qwen")] = "qwen"
    """Handed on to the callback as it is."""
    image: Annotated[
        str, Field(min_length=1, max_length=MAX_TEXT, pattern=PATTERN), AfterValidator(_reference)
    ]
    """The photo: `s3://bucket/key` or `minio://bucket/key`, key percent-encoded, at most 1,024
    bytes once decoded; `?versionId=` may follow."""
    image_sha256: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")] | None = None
    """SHA-256 of the photo's bytes in hex; the job fails with `checksum_mismatch` if they differ.
    Null: not checked."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """A model's name in the catalog. Null: the default body model."""
    outputs: (
        Annotated[
            tuple[OutputName, ...],
            Field(min_length=1, max_length=len(OUTPUTS), json_schema_extra={"uniqueItems": True}),
            AfterValidator(_distinct),
        ]
        | None
    ) = None
    """What to make, each once. Null: the model's own choice, from its manifest."""
    batch: Batch | None = None
    """The batch that the job belongs to, if any."""
    callback_url: (
        Annotated[str, Field(max_length=2048, pattern=URL_PATTERN), AfterValidator(_reachable)]
        | None
    ) = None
    """Where to send the masks: http or https, its origin among `CALLBACK_ALLOWED_ORIGINS`.
    Null: `MASK_ASSET_URL`."""
    submitted_at: Timestamp | None = None
    """When the producer wrote the job."""
    replay_of: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The job that this one does again, if any."""
    metadata: Annotated[dict[str, Any], _null_is({})] = Field(default_factory=dict)
    """The producer's own, never looked into."""

    @cached_property
    def image_reference(self) -> ImageReference:
        """Where the photo lies, read from `image` once."""
        return ImageReference.parse(self.image)
