"""The errors of one photo, and the errors of a model.

```
SegmentationError          this photo fails; `code` is an error code of the status events
├── InvalidImage           invalid_image: empty, truncated or broken
├── ImageTooLarge          image_too_large: more bytes or pixels than allowed, or a bomb
├── UnsupportedFormat      unsupported_format: not a picture, or not of an allowed format
├── UnknownModel           unknown_model: no such model, or its file isn't installed
├── UnsupportedOutput      unsupported_output: the model can't make that output
└── DeadlineExceeded       deadline_exceeded: the photo took too long
ModelError                 a model or manifest is missing or broken; no photo causes it
EngineUnavailable          the server that runs the model is down, or is configured wrongly
```
"""

from typing import ClassVar, Literal

SegmentationErrorCode = Literal[
    "invalid_image",
    "image_too_large",
    "unsupported_format",
    "unknown_model",
    "unsupported_output",
    "deadline_exceeded",
]
"""Codes of the errors of one photo: some of those in `schemas.status.ErrorCode`."""


class SegmentationError(Exception):
    """No masks can be made of this photo, or not as requested."""

    code: ClassVar[SegmentationErrorCode]


class InvalidImage(SegmentationError):
    """The file is empty, truncated or broken."""

    code = "invalid_image"


class ImageTooLarge(SegmentationError):
    """The file has too many bytes, or the picture has too many pixels."""

    code = "image_too_large"


class UnsupportedFormat(SegmentationError):
    """The file isn't a picture, or its format isn't allowed."""

    code = "unsupported_format"


class UnknownModel(SegmentationError):
    """The catalog has no model with that name, or the model's file isn't installed."""

    code = "unknown_model"


class UnsupportedOutput(SegmentationError):
    """The model can't make one of the requested outputs."""

    code = "unsupported_output"


class DeadlineExceeded(SegmentationError):
    """The photo took longer than its deadline allows."""

    code = "deadline_exceeded"


class ModelError(Exception):
    """A model or its manifest is missing or broken. The message names the file and the problem."""


class EngineUnavailable(Exception):
    """The server can't run the model now. The message names the model and the server."""

    def __init__(self, message: str, *, retry_after: str | None = None) -> None:
        """`retry_after` is the value of the response's `Retry-After` header, if it had one."""
        super().__init__(message)
        self.retry_after = retry_after
