"""A model on a server of the Open Inference Protocol v2, such as KServe, Triton and MLServer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import urlsplit

from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError
from segmentation.model.engine import Tensor
from segmentation.model.input_tensor import blank_tensor
from segmentation.model.manifest import Manifest
from segmentation.model.manifest_check import find_mismatches, find_output_fault
from segmentation.model.tensor_spec import TensorSpec
from segmentation.remote.http_client import HttpClient, ServerResponse
from segmentation.remote.open_inference import (
    BINARY_EXTENSION,
    read_error,
    read_response,
    read_tensor_specs,
    reading,
    write_request,
)

_REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses with which a working server refuses this tensor. All others are the server's problem."""

_TIME_SHARE = 0.9  # of the remaining time; the rest is for checking whether the server is ready
_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a server reports about a model."""

    server: str
    """The server's name and version."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    """Empty if the server declares none."""
    binary: bool
    """Whether tensors are sent as bytes, not as JSON."""


class RemoteModel:
    """A model that a server runs. Thread-safe."""

    def __init__(self, manifest: Manifest) -> None:
        """Connect nothing yet.

        Raises:
            ModelError: The manifest has no `url`.
        """
        if manifest.url is None:
            raise ModelError(f"manifest {manifest.name!r} has no url")
        self.manifest = manifest
        self._client = HttpClient(manifest.url)
        self._path = urlsplit(manifest.url).path
        self._metadata: ModelMetadata | None = None
        self._away_at = float("-inf")
        """When a request was last left without an answer by a server that wasn't ready either."""

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """Return the output that the manifest names, as float32, with the axes of the model.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: `expire` ends the run at once.

        Raises:
            DeadlineExceeded: The time was over, and the server is ready.
            EngineUnavailable: The server can't run the model now, or is configured wrongly.
            ModelError: The server refuses this tensor, and accepts another one.
        """
        deadline.check()
        metadata = self.metadata(deadline)
        try:
            feed = self._input_spec(metadata)
        except ModelError as error:  # the photo isn't the cause
            self._unavailable(str(error), error)
        index = self.manifest.output.index
        fetch = metadata.outputs[index].name if metadata.outputs else None
        headers, body = write_request(tensor, feed=feed, fetch=fetch, binary=metadata.binary)
        response = self._request("POST", f"{self._path}/infer", deadline, headers, body)
        if response.status in _REFUSALS and self._accepts_blank(feed, fetch, metadata, deadline):
            raise ModelError(
                f"{self._label} refuses: {response.status} {read_error(response.body)}"
            )
        self._check_status(response)
        try:
            result = read_response(response.headers, response.body, fetch=fetch, index=index)
        except ValueError as error:
            self._unavailable(str(error), error)
        if fault := find_output_fault(self.manifest, result):
            self._unavailable(fault)
        return result

    def metadata(self, deadline: Deadline) -> ModelMetadata:
        """Return what the server reports about the model. Requested again after each failure.

        Raises:
            DeadlineExceeded: The time was over.
            EngineUnavailable: The server gives no answer, or has no such model.
        """
        if (known := self._metadata) is not None:
            return known
        try:
            model = self._get_object("", deadline)
            inputs = read_tensor_specs(model.get("inputs"))
            outputs = read_tensor_specs(model.get("outputs"))
            server = self._server_metadata(deadline)
            binary = self._binary(server)
        except ValueError as error:
            self._unavailable(str(error), error)
        self._metadata = metadata = ModelMetadata(
            server=f"{server.get('name', '?')} {server.get('version', '')}".strip()[:100],
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            binary=binary,
        )
        return metadata

    def check(self) -> None:
        """Check that the model is ready and fits its manifest. Wait for 5 s at most.

        Raises:
            EngineUnavailable: The model isn't ready.
            ModelError: The model on the server doesn't fit the manifest.
        """
        deadline = Deadline(_CHECK_SECONDS)
        try:
            self._check_status(self._request("GET", f"{self._path}/ready", deadline))
            self._input_spec(self.metadata(deadline))
        except DeadlineExceeded as error:
            self._unavailable(str(error), error)

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()

    @property
    def origin(self) -> str:
        """The server's scheme, host and port."""
        parts = urlsplit(self.manifest.url or "")
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def _label(self) -> str:
        return f"model {self.manifest.name!r} at {self.origin}"

    def _input_spec(self, metadata: ModelMetadata) -> TensorSpec:
        """Return the model's input, after comparing the model with its manifest."""
        name = self.manifest.input.name
        if not metadata.inputs:
            if name is None:
                raise ModelError(
                    f"{self._label} declares no inputs: input.name must say the name of its input"
                )
            return TensorSpec(name, "float", ())
        # A server may declare inputs and no outputs. Then only the response can be checked.
        mismatches = find_mismatches(
            self.manifest, metadata.inputs, metadata.outputs or _UNDECLARED
        )
        if mismatches:
            self._metadata = None  # request it again: an operator may have corrected the model
            raise ModelError(f"{self._label} isn't what its manifest says: {mismatches[0]}")
        return next(tensor for tensor in metadata.inputs if name in (None, tensor.name))

    def _request(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ServerResponse:
        seconds, began = deadline.remaining() * _TIME_SHARE, monotonic()
        try:
            return self._client.request(
                method, path, seconds=seconds, deadline=deadline, headers=headers, body=body
            )
        except TimeoutError as error:
            # A server that was away during this request may be back for the question.
            if self._away_at < began and self._is_ready(deadline.remaining() / 2, deadline):
                raise DeadlineExceeded(
                    f"{self._label} gave no answer in {seconds:.3g} s"
                ) from error
            self._away_at = monotonic()
            self._unavailable(f"no answer in {seconds:.3g} s", error)
        except OSError as error:
            self._away_at = monotonic()
            self._unavailable(str(error) or type(error).__name__, error)
        except ValueError as error:
            self._unavailable(str(error), error)

    def _is_ready(self, seconds: float, deadline: Deadline) -> bool:
        path = f"{self._path}/ready"
        try:
            response = self._client.request("GET", path, seconds=seconds, deadline=deadline)
        except (OSError, ValueError):
            return False
        return response.status == 200

    def _accepts_blank(
        self, feed: TensorSpec, fetch: str | None, metadata: ModelMetadata, deadline: Deadline
    ) -> bool:
        """Whether the server accepts a tensor without a photo. If not, no photo is the cause."""
        blank = blank_tensor(self.manifest)
        headers, body = write_request(blank, feed=feed, fetch=fetch, binary=metadata.binary)
        response = self._request("POST", f"{self._path}/infer", deadline, headers, body)
        return response.status == 200

    def _get_object(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """Return the JSON object at a path below the model's path."""
        response = self._request("GET", f"{self._path}{path}", deadline)
        self._check_status(response)
        return _parse_object(response.body)

    def _server_metadata(self, deadline: Deadline) -> dict[str, Any]:
        """Return the server's metadata. Empty if a gateway serves only the models' paths."""
        response = self._request("GET", self._path[: self._path.index("/v2/") + 3], deadline)
        return _parse_object(response.body) if response.status == 200 else {}

    def _binary(self, server: Mapping[str, Any]) -> bool:
        if self.manifest.binary is not None:
            return self.manifest.binary
        with reading("metadata"):
            return BINARY_EXTENSION in (server.get("extensions") or ())

    def _check_status(self, response: ServerResponse) -> None:
        if response.status != 200:
            reason = f"{response.status} {read_error(response.body)}"
            self._unavailable(reason, retry_after=response.headers.get("retry-after"))

    def _unavailable(
        self, reason: str, cause: Exception | None = None, *, retry_after: str | None = None
    ) -> NoReturn:
        self._metadata = None  # another model may be there when the server is back
        raise EngineUnavailable(f"{self._label}: {reason}", retry_after=retry_after) from cause


# Stands for outputs that the server does not declare: whatever the manifest's index, there is one.
_UNDECLARED = (TensorSpec("?", "float", ()),) * 64


def _parse_object(body: bytes) -> dict[str, Any]:
    with reading("metadata"):
        parsed = json.loads(body)
    if not isinstance(parsed, dict):
        raise ValueError("its metadata isn't a JSON object")
    return parsed
