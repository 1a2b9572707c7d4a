"""The catalog: every model that is installed, loaded and checked, by the name that a job gives."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from segmentation.catalog.suggestion import suggest_manifest
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError, UnknownModel
from segmentation.model.engine import Engine
from segmentation.model.manifest import Manifest, read_manifest
from segmentation.model.onnx_model import CPU, OnnxModel, OnnxSession
from segmentation.model.placement import place
from segmentation.remote.remote_model import RemoteModel

PACKAGED = Path(__file__).parents[1] / "manifests"
WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT = "body-regions"

_WARM_SECONDS = 600.0
_REMOTE_WARM_SECONDS = 30.0  # the start waits for no server for longer


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that the catalog knows of."""

    manifest: Manifest
    described_in: Path
    """The manifest's file."""
    weights: Path | None
    """The model's file; None where it isn't installed, and where a server runs it."""

    @property
    def missing(self) -> bool:
        """Whether it has a file, and the file isn't installed."""
        return self.weights is None and self.manifest.url is None


class Catalog:
    """Every installed model. Threads may share it."""

    def __init__(
        self, *, models: Mapping[str, Engine], missing: Mapping[str, str], default: str
    ) -> None:
        self._models = dict(models)
        self._missing = dict(missing)
        self._default = default

    @classmethod
    def load(
        cls, *, folder: Path | None, body_model: str | None, providers: Sequence[str], threads: int
    ) -> Self:
        """Read all manifests, check all files that are there, and load them.

        Args:
            folder: `MODEL_FOLDER`: manifests and models of the operator; its manifests come before
                the packaged ones of the same name.
            body_model: `QWEN_MODEL_PATH`: the file, in `folder` or absolute, whose model becomes
                the default.
            providers: ONNX Runtime's execution providers; all must start.
            threads: Threads of each session.

        Raises:
            ModelError: A manifest or model is broken, or the default isn't there.
        """
        if folder is not None and not folder.is_dir():
            raise ModelError(f"MODEL_FOLDER: {folder} is not a folder")
        entries = find_entries(folder)
        default = DEFAULT
        if body_model is not None:
            named = find_body_model(folder, body_model, entries)
            entries[named.manifest.name] = named
            default = named.manifest.name
        missing = {name: entry.manifest.place for name, entry in entries.items() if entry.missing}
        if default in missing:
            raise ModelError(f"the default model {default!r} lacks its file {missing[default]}")
        models = {
            name: open_entry(entry, providers=providers, threads=threads)
            for name, entry in entries.items()
            if not entry.missing
        }
        return cls(models=models, missing=missing, default=default)

    def model(self, name: str | None) -> Engine:
        """The model of that name; None is the default.

        Raises:
            UnknownModel: There is none, or its file isn't installed; the message says what is.
        """
        if (model := self._models.get(name or self._default)) is not None:
            return model
        if file := self._missing.get(name or self._default):
            raise UnknownModel(f"The model {name!r} isn't installed: put {file} into MODEL_FOLDER.")
        raise UnknownModel(f"There is no model {name!r}; there is {', '.join(self.names)}.")

    def warm(self) -> list[str]:
        """Run each model once on a grey photo, so that the first job waits for nothing.

        Returns:
            Why a server can't run its model now, a phrase each: its jobs will wait for it.

        Raises:
            ModelError: A model fails; the message names it.
        """
        away = []
        for model in self._models.values():
            seconds = _WARM_SECONDS if model.manifest.url is None else _REMOTE_WARM_SECONDS
            try:
                model.check()
                model.run(blank(model.manifest), Deadline(seconds))
            except (EngineUnavailable, DeadlineExceeded) as error:
                if model.manifest.url is None:
                    raise
                away.append(str(error))
        return away

    @property
    def names(self) -> list[str]:
        """Names of the installed models, sorted."""
        return sorted(self._models)

    @property
    def default(self) -> str:
        """Name of the model of a job that names none."""
        return self._default

    def close(self) -> None:
        """Let go of every model, and of the memory of those that run nothing."""
        for model in self._models.values():
            model.close()
        self._models.clear()


def blank(manifest: Manifest) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A tensor of zeros, of the size that a photo of the manifest's own size would have."""
    said = manifest.input
    at = place(said, said.width, said.height)
    shape = (3, at.height, at.width) if said.layout == "NCHW" else (at.height, at.width, 3)
    return np.zeros((1, *shape), np.float32)


def find_entries(folder: Path | None) -> dict[str, Entry]:
    """Every packaged manifest and every one in `folder`, by name, with its file where there is one.

    Raises:
        ModelError: A manifest is broken, or two in `folder` bear the same name.
    """
    found: dict[str, Entry] = {}
    for path in sorted(PACKAGED.glob("*.toml")):
        manifest = read_manifest(path)
        found[manifest.name] = Entry(manifest, path, _weights(manifest, folder, WEIGHTS))
    for path in sorted(folder.glob("*.toml")) if folder else []:
        manifest = read_manifest(path)
        if manifest.name in found and found[manifest.name].described_in.parent == folder:
            raise ModelError(
                f"{path}: {found[manifest.name].described_in.name} is named {manifest.name!r} too"
            )
        weights = _weights(manifest, folder)
        if weights is None and manifest.url is None:
            raise ModelError(f"{path}: its file {manifest.place} isn't in {folder}")
        found[manifest.name] = Entry(manifest, path, weights)
    return found


def find_body_model(folder: Path | None, file: str, entries: Mapping[str, Entry]) -> Entry:
    """The model of `QWEN_MODEL_PATH`: an entry of this file, or a manifest that lies beside it.

    The file may also be a manifest itself, as it must be where a server runs the model.

    Raises:
        ModelError: There is no such file, or no manifest for it.
    """
    path = (folder or Path()) / file
    if not path.is_file():
        raise ModelError(f"QWEN_MODEL_PATH: there is no file {path}")
    if path.suffix == ".toml":
        manifest = read_manifest(path)
        return Entry(manifest, path, _weights(manifest, path.parent, folder, WEIGHTS))
    for entry in entries.values():
        if entry.weights is not None and entry.weights.samefile(path):
            return entry
    if (beside := path.with_suffix(".toml")).is_file():
        return Entry(read_manifest(beside), beside, path)
    for entry in entries.values():
        if entry.manifest.file == path.name:
            return Entry(entry.manifest, entry.described_in, path)
    session = OnnxSession(path, providers=[CPU], threads=1)
    raise ModelError(
        f"{path} has no manifest. Write {beside}, which must say its input, its output and its "
        "classes; to begin with, from the file's own inputs and outputs:\n\n"
        + suggest_manifest(path, session.inputs, session.outputs)
    )


def open_entry(entry: Entry, *, providers: Sequence[str], threads: int) -> Engine:
    """Load an installed model, whose manifest then bears the file's SHA-256; ask no server yet.

    Raises:
        ModelError: The file isn't the one that its manifest names, or can't be loaded.
    """
    if entry.manifest.url is not None:
        return RemoteModel(entry.manifest)
    if entry.weights is None:
        raise ModelError(f"{entry.described_in}: its file {entry.manifest.place} isn't installed")
    digest = file_sha256(entry.weights)
    if entry.manifest.sha256 not in (None, digest):
        raise ModelError(
            f"{entry.weights}: its SHA-256 is {digest}, "
            f"but {entry.described_in} says {entry.manifest.sha256}"
        )
    manifest = entry.manifest.model_copy(update={"sha256": digest})
    return OnnxModel.open(manifest, entry.weights, providers=providers, threads=threads)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _weights(manifest: Manifest, *folders: Path | None) -> Path | None:
    if manifest.file is None:
        return None
    paths = (folder / manifest.file for folder in folders if folder is not None)
    return next((path for path in paths if path.is_file()), None)
