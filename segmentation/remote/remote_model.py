"""A model on a server that speaks the Open Inference Protocol v2: KServe, Triton, MLServer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn
from urllib.parse import urlsplit

from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError
from segmentation.model.engine import Tensor
from segmentation.model.manifest import Manifest
from segmentation.model.manifest_check import find_mismatches
from segmentation.model.tensor_spec import TensorSpec
from segmentation.remote.http_client import HttpClient, ServerResponse
from segmentation.remote.open_inference import (
    BINARY_EXTENSION,
    read_error,
    read_ports,
    read_response,
    write_request,
)

_OURS = frozenset({400, 413, 415, 422})
"""Statuses by which a server that is well refuses this tensor; all others are its own trouble."""

_PATIENCE = 0.9  # of the time that is left; the rest is for asking whether the server is well
_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a server says of a model: how it is asked."""

    server: str
    """The server's name and version."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    """Empty where the server tells none."""
    binary: bool
    """Whether tensors travel as bytes."""


class RemoteModel:
    """A network that its manifest describes, run by a server. Thread-safe."""

    def __init__(self, manifest: Manifest) -> None:
        """Connect nothing yet.

        Raises:
            ModelError: The manifest has no `url`.
        """
        if manifest.url is None:
            raise ModelError(f"manifest {manifest.name!r} has no url")
        self.manifest = manifest
        self._exchange = HttpClient(manifest.url)
        self._path = urlsplit(manifest.url).path
        self._terms: ModelMetadata | None = None

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """The output that the manifest names, float32, in the model's own axes.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: Its `expire` ends the run at once.

        Raises:
            DeadlineExceeded: The time was over, and the server is well.
            EngineUnavailable: The server doesn't serve the model now, or is set up wrongly.
            ModelError: The server is well and refuses the tensor.
        """
        deadline.check()
        terms = self.terms(deadline)
        try:
            feed = self._feed(terms)
        except ModelError as error:  # no photo is at fault
            self._unavailable(str(error), error)
        index = self.manifest.output.index
        fetch = terms.outputs[index].name if terms.outputs else None
        headers, body = write_request(tensor, feed=feed, fetch=fetch, binary=terms.binary)
        answer = self._asked("POST", f"{self._path}/infer", deadline, headers, body)
        if answer.status in _OURS and self._is_ready(_CHECK_SECONDS, deadline):
            raise ModelError(f"{self._named} refuses: {answer.status} {read_error(answer.body)}")
        self._check_status(answer)
        try:
            return read_response(answer.headers, answer.body, fetch=fetch, index=index)
        except ValueError as error:
            self._unavailable(str(error), error)

    def terms(self, deadline: Deadline) -> ModelMetadata:
        """What the server says of the model; asked again after each time that it was away.

        Raises:
            DeadlineExceeded: The time was over.
            EngineUnavailable: The server doesn't answer, or has no such model.
        """
        if (known := self._terms) is not None:
            return known
        try:
            said = self._read("", deadline)
            inputs, outputs = read_ports(said.get("inputs")), read_ports(said.get("outputs"))
            server = self._read_server(deadline)
        except ValueError as error:
            self._unavailable(str(error), error)
        self._terms = terms = ModelMetadata(
            server=f"{server.get('name', '?')} {server.get('version', '')}".strip(),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            binary=self._binary(server),
        )
        return terms

    def check(self) -> None:
        """Return where the model is ready and is what the manifest says; wait at most 5 s for that.

        Raises:
            EngineUnavailable: The server doesn't say that it is ready.
            ModelError: What the server serves isn't what the manifest says.
        """
        deadline = Deadline(_CHECK_SECONDS)
        try:
            self._check_status(self._asked("GET", f"{self._path}/ready", deadline))
            self._feed(self.terms(deadline))
        except DeadlineExceeded as error:
            self._unavailable(str(error), error)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._exchange.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port of the server."""
        parts = urlsplit(self.manifest.url or "")
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def _named(self) -> str:
        return f"model {self.manifest.name!r} at {self.origin}"

    def _feed(self, terms: ModelMetadata) -> TensorSpec:
        """The input to be fed; faults of what the server tells are found before it is asked."""
        said = self.manifest.input
        if not terms.inputs:
            if said.name is None:
                raise ModelError(f"{self._named} tells no inputs: input.name must say its name")
            return TensorSpec(said.name, "float", ())
        # A server may tell inputs and no outputs; the answer then shows what there is.
        faults = find_mismatches(self.manifest, terms.inputs, terms.outputs or _UNTOLD)
        if faults:
            self._terms = None  # to be asked again: it may be mended without us
            raise ModelError(f"{self._named} isn't what its manifest says: {faults[0]}")
        return next(port for port in terms.inputs if said.name in (None, port.name))

    def _asked(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ServerResponse:
        seconds = deadline.remaining() * _PATIENCE
        try:
            return self._exchange.ask(
                method, path, seconds=seconds, deadline=deadline, headers=headers, body=body
            )
        except TimeoutError as error:
            if self._is_ready(deadline.remaining() / 2, deadline):
                raise DeadlineExceeded(
                    f"{self._named} gave no answer in {seconds:.3g} s"
                ) from error
            self._unavailable(f"no answer in {seconds:.3g} s", error)
        except OSError as error:
            self._unavailable(str(error) or type(error).__name__, error)
        except ValueError as error:
            self._unavailable(str(error), error)

    def _is_ready(self, seconds: float, deadline: Deadline) -> bool:
        path = f"{self._path}/ready"
        try:
            answer = self._exchange.ask("GET", path, seconds=seconds, deadline=deadline)
        except (OSError, ValueError):
            return False
        return answer.status == 200

    def _read(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """A JSON object that the server tells under the model's path."""
        answer = self._asked("GET", f"{self._path}{path}", deadline)
        self._check_status(answer)
        return _object(answer.body)

    def _read_server(self, deadline: Deadline) -> dict[str, Any]:
        """The server's metadata; a gateway before it may show the models alone."""
        answer = self._asked("GET", self._path[: self._path.index("/v2/") + 3], deadline)
        return _object(answer.body) if answer.status == 200 else {}

    def _binary(self, server: Mapping[str, Any]) -> bool:
        if self.manifest.binary is not None:
            return self.manifest.binary
        return BINARY_EXTENSION in (server.get("extensions") or ())

    def _check_status(self, answer: ServerResponse) -> None:
        if answer.status != 200:
            words = f"{answer.status} {read_error(answer.body)}"
            self._unavailable(words, retry_after=answer.headers.get("retry-after"))

    def _unavailable(
        self, words: str, cause: Exception | None = None, *, retry_after: str | None = None
    ) -> NoReturn:
        self._terms = None  # what comes back may be another model
        raise EngineUnavailable(f"{self._named}: {words}", retry_after=retry_after) from cause


_UNTOLD = (TensorSpec("?", "float", ()),) * 64


def _object(body: bytes) -> dict[str, Any]:
    said = json.loads(body)
    if not isinstance(said, dict):
        raise ValueError("its metadata isn't a JSON object")
    return said
