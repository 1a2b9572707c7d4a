"""What there is to know about a model file, for `maskline models list` and `models check FILE`."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from segmentation.catalog.catalog import DEFAULT, file_sha256, find_body_model, find_entries
from segmentation.catalog.suggestion import suggest_manifest
from segmentation.deadline import Deadline
from segmentation.errors import ModelError
from segmentation.masks.regions import class_planes
from segmentation.model.engine import Engine, Tensor
from segmentation.model.manifest import Manifest, read_manifest
from segmentation.model.manifest_check import find_mismatches
from segmentation.model.onnx_model import OnnxModel, OnnxSession
from segmentation.model.opset import read_opsets
from segmentation.model.placement import place
from segmentation.model.tensor_spec import TensorSpec
from segmentation.remote.remote_model import RemoteModel

_SECONDS = 600.0  # that a check may take
_REMOTE_SECONDS = 60.0  # that a server may take for all runs
_RUNS = 3  # whose median is told
_TOLERANCE = 0.01  # how far probabilities may be from a sum of 1


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model that the catalog knows of."""

    name: str
    file: str
    """Where its file is, or the name under which it is looked for; or its URL."""
    installed: bool
    default: bool
    """Whether jobs that name no model get it."""
    outputs: tuple[str, ...]
    """Every output that it can give."""
    manifest: str
    """The manifest's file."""
    source: str
    """Where it comes from."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A model, run once."""

    file: str
    """The model's file; of a model on a server, its URL."""
    bytes: int | None
    """Length of the file, where there is one."""
    sha256: str | None
    opsets: dict[str, int]
    """Operator set by domain; empty where a server runs it."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    providers: tuple[str, ...]
    """Execution providers; of a model on a server, the server's name and version."""
    manifest: Manifest | None
    """The manifest found for it; None where there is none."""
    gives: tuple[str, ...]
    """Every output of the contract that it can give."""
    milliseconds: dict[int, float]
    """Median time of a run, by number of threads; 0 threads are a server's own."""
    faults: tuple[str, ...]
    """What is wrong with it; empty when nothing is."""
    suggestion: str | None
    """A manifest to begin with, where it has none."""


def list_models(folder: Path | None, body_model: str | None) -> list[ModelSummary]:
    """Every model that there is a manifest for, by name.

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
            file=str(entry.weights or entry.manifest.place),
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
    """Load a model file, run it at each number of threads, and say what it is.

    Raises:
        ModelError: The file can't be loaded at all, or a provider isn't there.
        EngineUnavailable: The file is the manifest of a model on a server that can't be reached.
        DeadlineExceeded: That server took too long.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    if path.suffix == ".toml":
        said = read_manifest(path)
        if said.url is None:
            raise ModelError(f"{path} is a manifest: name its file, {said.file}")
        return _inspect_remote(said)
    session = OnnxSession(path, providers=providers, threads=1)
    manifest, faults = _described(path, folder)
    suggestion = None
    if manifest is None:
        suggestion = suggest_manifest(path, session.inputs, session.outputs)
    supposed = manifest or Manifest.model_validate(tomllib.loads(suggestion or ""))
    digest = file_sha256(path)
    if supposed.sha256 not in (None, digest):
        faults.append(f"its SHA-256 isn't the manifest's, which is {supposed.sha256}")
    milliseconds: dict[int, float] = {}
    wrong = find_mismatches(supposed, session.inputs, session.outputs)
    if not wrong:
        engines = (
            (count, OnnxModel.open(supposed, path, providers=providers, threads=count))
            for count in threads
        )
        wrong, milliseconds = _tried(supposed, engines, _SECONDS)
    faults += wrong
    return Inspection(
        file=str(path),
        bytes=path.stat().st_size,
        sha256=digest,
        opsets=read_opsets(path),
        inputs=tuple(session.inputs),
        outputs=tuple(session.outputs),
        providers=tuple(session.providers),
        manifest=manifest,
        gives=() if faults else supposed.possible,
        milliseconds=milliseconds,
        faults=tuple(faults),
        suggestion=suggestion,
    )


def _inspect_remote(manifest: Manifest) -> Inspection:
    model = RemoteModel(manifest)
    try:
        terms = model.terms(Deadline(_REMOTE_SECONDS))
        faults, milliseconds = _tried(manifest, [(0, model)], _REMOTE_SECONDS)
    finally:
        model.close()
    return Inspection(
        file=manifest.place,
        bytes=None,
        sha256=None,
        opsets={},
        inputs=terms.inputs,
        outputs=terms.outputs,
        providers=(terms.server,),
        manifest=manifest,
        gives=() if faults else manifest.possible,
        milliseconds=milliseconds,
        faults=tuple(faults),
        suggestion=None,
    )


def _described(path: Path, folder: Path | None) -> tuple[Manifest | None, list[str]]:
    """The manifest of a file, and what is wrong about it."""
    try:
        return find_body_model(folder, str(path.absolute()), find_entries(folder)).manifest, []
    except ModelError as error:
        return None, [str(error).partition(". Write ")[0]]


def _tried(
    manifest: Manifest, engines: Iterable[tuple[int, Engine]], seconds: float
) -> tuple[list[str], dict[int, float]]:
    """What is wrong with the model's answers, and its times by number of threads."""
    tensor = _noise(manifest)
    faults: list[str] = []
    milliseconds = {}
    for count, model in engines:
        deadline = Deadline(seconds)
        try:
            model.check()
            answers = [model.run(tensor, deadline), model.run(np.zeros_like(tensor), deadline)]
        except ModelError as error:
            return [str(error)], {}
        faults = faults or _answer_faults(manifest, *answers)
        times = []
        for _ in range(_RUNS):
            began = perf_counter()
            model.run(tensor, deadline)
            times.append((perf_counter() - began) * 1000)
        milliseconds[count] = median(times)
    return faults, milliseconds


def _noise(manifest: Manifest) -> Tensor:
    """Noise of the size of a photo of the manifest's own size, normalised to about -1..1."""
    said = manifest.input
    at = place(said, said.width, said.height)
    shape = (3, at.height, at.width) if said.layout == "NCHW" else (at.height, at.width, 3)
    return np.random.default_rng(0).uniform(-1, 1, (1, *shape)).astype(np.float32)


def _answer_faults(manifest: Manifest, answer: Tensor, other: Tensor) -> list[str]:
    faults = []
    if not np.isfinite(answer).all():
        faults.append("its output has values that aren't numbers")
    elif np.array_equal(answer, other):
        faults.append("its output is the same for two different pictures")
    if manifest.classes is not None and not faults:
        planes = class_planes(answer, manifest)
        if len(planes) != len(manifest.classes.names):
            faults.append(
                f"classes.names has {len(manifest.classes.names)}, but it gives {len(planes)}"
            )
        elif abs(float(planes.sum(axis=0).mean()) - 1) > _TOLERANCE:
            faults.append('its planes don\'t sum to 1: output.kind may be "logits"')
    return faults
