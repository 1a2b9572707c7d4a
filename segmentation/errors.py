"""What can go wrong with one photo, and what can go wrong with a model.

```
SegmentationError          one photo's failure; `code` is the contract's
├── InvalidImage           invalid_image: empty, truncated or broken
├── ImageTooLarge          image_too_large: more bytes or pixels than allowed, or a bomb
├── UnsupportedFormat      unsupported_format: not a picture, or not in an allowed format
├── UnknownModel           unknown_model: no such model, or its file isn't there
├── UnsupportedOutput      unsupported_output: the model can't give that output
└── DeadlineExceeded       deadline_exceeded: the job's time was over
ModelError                 a model or manifest is missing or broken: the service's failure, exit 4
EngineUnavailable          the server that runs the model can't serve now, or is set up wrongly
```
"""

from typing import ClassVar


class SegmentationError(Exception):
    """The photo or the request can't be turned into masks."""

    code: ClassVar[str]


class InvalidImage(SegmentationError):
    """The file is empty, truncated or broken."""

    code = "invalid_image"


class ImageTooLarge(SegmentationError):
    """The file has more bytes, or the picture more pixels, than is allowed."""

    code = "image_too_large"


class UnsupportedFormat(SegmentationError):
    """The file isn't a picture, or its format isn't one of those allowed."""

    code = "unsupported_format"


class UnknownModel(SegmentationError):
    """The catalog has no model of that name, or the model's file isn't installed."""

    code = "unknown_model"


class UnsupportedOutput(SegmentationError):
    """The model can't give one of the outputs that were asked for."""

    code = "unsupported_output"


class DeadlineExceeded(SegmentationError):
    """The work took longer than it may."""

    code = "deadline_exceeded"


class ModelError(Exception):
    """A model or its manifest is missing or broken; the message names the file and the remedy."""


class EngineUnavailable(Exception):
    """The server that runs the model serves no photo now; the message names model and server."""

    def __init__(self, message: str, *, retry_after: str | None = None) -> None:
        """`retry_after` is the server's own header of that name, if it sent one."""
        super().__init__(message)
        self.retry_after = retry_after
