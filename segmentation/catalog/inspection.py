"""Describes models for the commands `maskline models list` and `maskline models check FILE`."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from segmentation.catalog.catalog import (
    DEFAULT,
    file_sha256,
    find_body_model,
    find_entries,
)
from segmentation.catalog.suggestion import suggest_manifest
from segmentation.deadline import Deadline
from segmentation.errors import ModelError
from segmentation.masks.regions import class_planes
from segmentation.model.engine import Engine, Tensor
from segmentation.model.input_tensor import tensor_shape
from segmentation.model.manifest import Manifest, read_manifest
from segmentation.model.manifest_check import find_mismatches
from segmentation.model.onnx_model import OnnxModel, OnnxSession
from segmentation.model.opset import read_opsets
from segmentation.model.tensor_spec import TensorSpec
from segmentation.remote.remote_model import RemoteModel

_SECONDS = 600.0  # the longest that a check may take
_REMOTE_SECONDS = 60.0  # the longest that a server may take for all runs
_RUNS = 3  # the reported time is their median
_TOLERANCE = 0.01  # how far the sum of the probabilities may be from 1


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model that has a manifest, as a row of `maskline models list`."""

    name: str
    file: str
    """Path of its file, or if that isn't installed, the file's name. Of a remote model, its URL."""
    installed: bool
    default: bool
    """Whether jobs that name no model use it."""
    outputs: tuple[str, ...]
    """Every output that it can make."""
    manifest: str
    """The manifest's file."""
    source: str
    """Origin and licence."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `maskline models check` found out about a model."""

    file: str
    """The model's file. Of a remote model, its URL."""
    bytes: int | None
    """Length of the file. None for a remote model."""
    sha256: str | None
    opsets: dict[str, int]
    """Operator set by domain. Empty for a remote model."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    providers: tuple[str, ...]
    """Execution providers. Of a remote model, the server's name and version."""
    manifest: Manifest | None
    """The model's manifest. None if it has none."""
    gives: tuple[str, ...]
    """Every output of the contract that it can make."""
    milliseconds: dict[int, float]
    """Median time of a run, by number of threads. 0 stands for the threads of a server."""
    problems: tuple[str, ...]
    """What is wrong with the model. Empty: nothing."""
    suggestion: str | None
    """A draft of a manifest, if the model has none."""


def list_models(folder: Path | None, body_model: str | None) -> list[ModelSummary]:
    """Return every model that has a manifest, sorted by name.

    Raises:
        ModelError: A manifest is broken, or `body_model` has none.
    """
    entries = find_entries(folder)
    default = DEFAULT
    if body_model is not None:
        named = find_body_model(folder, body_model, entries)
        default = named.manifest.name
        entries[default] = named
    return [
        ModelSummary(
            name=name,
            file=str(entry.weights or entry.manifest.location),
            installed=not entry.missing,
            default=name == default,
            outputs=entry.manifest.possible,
            manifest=str(entry.described_in),
            source=entry.manifest.source,
        )
        for name, entry in sorted(entries.items())
    ]


def inspect(
    path: Path, *, folder: Path | None, providers: Sequence[str], threads: Sequence[int]
) -> Inspection:
    """Load a model file, run it with each number of threads, and describe it.

    Raises:
        ModelError: The file can't be loaded, or a provider isn't available.
        EngineUnavailable: The file is the manifest of a remote model whose server can't be reached.
        DeadlineExceeded: That server took too long.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    if path.suffix == ".toml":
        remote = read_manifest(path)
        if remote.url is None:
            raise ModelError(f"{path} is a manifest: name its file, {remote.file}")
        return _inspect_remote(remote)
    session = OnnxSession(path, providers=providers, threads=1)
    manifest, problems = _find_manifest(path, folder)
    suggestion = None
    if manifest is None:
        suggestion = suggest_manifest(path, session.inputs, session.outputs)
    assumed = manifest or Manifest.model_validate(tomllib.loads(suggestion or ""))
    digest = file_sha256(path)
    if assumed.sha256 not in (None, digest):
        problems.append(f"its SHA-256 isn't the manifest's, which is {assumed.sha256}")
    milliseconds: dict[int, float] = {}
    mismatches = find_mismatches(assumed, session.inputs, session.outputs)
    if not mismatches:
        engines = (
            (count, OnnxModel.open(assumed, path, providers=providers, threads=count))
            for count in threads
        )
        mismatches, milliseconds = _run(assumed, engines, _SECONDS)
    problems += mismatches
    return Inspection(
        file=str(path),
        bytes=path.stat().st_size,
        sha256=digest,
        opsets=read_opsets(path),
        inputs=tuple(session.inputs),
        outputs=tuple(session.outputs),
        providers=tuple(session.providers),
        manifest=manifest,
        gives=() if problems else assumed.possible,
        milliseconds=milliseconds,
        problems=tuple(problems),
        suggestion=suggestion,
    )


def _inspect_remote(manifest: Manifest) -> Inspection:
    model = RemoteModel(manifest)
    try:
        metadata = model.metadata(Deadline(_REMOTE_SECONDS))
        problems, milliseconds = _run(manifest, [(0, model)], _REMOTE_SECONDS)
    finally:
        model.close()
    return Inspection(
        file=manifest.location,
        bytes=None,
        sha256=None,
        opsets={},
        inputs=metadata.inputs,
        outputs=metadata.outputs,
        providers=(metadata.server,),
        manifest=manifest,
        gives=() if problems else manifest.possible,
        milliseconds=milliseconds,
        problems=tuple(problems),
        suggestion=None,
    )


def _find_manifest(path: Path, folder: Path | None) -> tuple[Manifest | None, list[str]]:
    """Return the manifest of a model file, and what is wrong with it."""
    try:
        return find_body_model(folder, str(path.absolute()), find_entries(folder)).manifest, []
    except ModelError as error:
        return None, [str(error).partition(". Write ")[0]]


def _run(
    manifest: Manifest, engines: Iterable[tuple[int, Engine]], seconds: float
) -> tuple[list[str], dict[int, float]]:
    """Return what is wrong with the model's outputs, and its times by number of threads."""
    tensor = _noise_tensor(manifest)
    problems: list[str] = []
    milliseconds = {}
    for count, model in engines:
        deadline = Deadline(seconds)
        try:
            model.check()
            outputs = [model.run(tensor, deadline), model.run(np.zeros_like(tensor), deadline)]
        except ModelError as error:
            return [str(error)], {}
        problems = problems or _output_problems(manifest, *outputs)
        times = []
        for _ in range(_RUNS):
            began = perf_counter()
            model.run(tensor, deadline)
            times.append((perf_counter() - began) * 1000)
        milliseconds[count] = median(times)
    return problems, milliseconds


def _noise_tensor(manifest: Manifest) -> Tensor:
    """Return an input tensor of noise between -1 and 1."""
    return np.random.default_rng(0).uniform(-1, 1, tensor_shape(manifest)).astype(np.float32)


def _output_problems(manifest: Manifest, output: Tensor, other: Tensor) -> list[str]:
    problems = []
    if not np.isfinite(output).all():
        problems.append("its output has values that aren't numbers")
    elif np.array_equal(output, other):
        problems.append("its output is the same for two different pictures")
    if manifest.classes is not None and not problems:
        planes = class_planes(output, manifest)
        if len(planes) != len(manifest.classes.names):
            problems.append(
                f"classes.names has {len(manifest.classes.names)}, but it gives {len(planes)}"
            )
        elif abs(float(planes.sum(axis=0).mean()) - 1) > _TOLERANCE:
            problems.append('its planes don\'t sum to 1: output.kind may be "logits"')
    return problems
