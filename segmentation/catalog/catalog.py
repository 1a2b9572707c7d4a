"""The catalog: loads and checks every installed model, and finds a model by its name."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from segmentation.catalog.suggestion import suggest_manifest
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError, UnknownModel
from segmentation.model.engine import Engine
from segmentation.model.external_data import external_files
from segmentation.model.input_tensor import blank_tensor
from segmentation.model.manifest import Manifest, read_manifest
from segmentation.model.onnx_model import CPU, OnnxModel, OnnxSession
from segmentation.remote.remote_model import RemoteModel

PACKAGED = Path(__file__).parents[1] / "manifests"
WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT = "body-regions"

_WARM_SECONDS = 600.0
_REMOTE_WARM_SECONDS = 30.0  # the longest that the start waits for one server


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that has a manifest, installed or not."""

    manifest: Manifest
    described_in: Path
    """The manifest's file."""
    weights: Path | None
    """The model's file. None if it isn't installed, or if a server runs the model."""

    @property
    def missing(self) -> bool:
        """Whether the model needs a file that isn't installed."""
        return self.weights is None and self.manifest.url is None


class Catalog:
    """Every installed model. Thread-safe."""

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
        """Read all manifests, and check and load the files that are installed.

        Args:
            folder: The setting `MODEL_FOLDER`: the operator's manifests and models. They replace
                packaged manifests of the same names.
            body_model: The setting `QWEN_MODEL_PATH`: a file in `folder`, or an absolute path. Its
                model becomes the default body model. The setting has its name from the first
                customer's component, which calls itself `qwen`; the file can be any model.
            providers: ONNX Runtime's execution providers. All must start.
            threads: Number of threads of each session.

        Raises:
            ModelError: A manifest or a model is broken, or the default model isn't installed.
        """
        if folder is not None and not folder.is_dir():
            raise ModelError(f"MODEL_FOLDER: {folder} is not a folder")
        entries = find_entries(folder)
        default = DEFAULT
        if body_model is not None:
            named = find_body_model(folder, body_model, entries)
            entries[named.manifest.name] = named
            default = named.manifest.name
        missing = {
            name: entry.manifest.location for name, entry in entries.items() if entry.missing
        }
        if default in missing:
            raise ModelError(
                f"the file {missing[default]} of the default model {default!r} isn't installed"
            )
        models = {
            name: open_entry(entry, providers=providers, threads=threads)
            for name, entry in entries.items()
            if not entry.missing
        }
        return cls(models=models, missing=missing, default=default)

    def model(self, name: str | None) -> Engine:
        """Return the model with this name, or the default model if it is None.

        Raises:
            UnknownModel: There is no such model, or its file isn't installed. The message lists the
                models that are.
        """
        if (model := self._models.get(name or self._default)) is not None:
            return model
        if file := self._missing.get(name or self._default):
            raise UnknownModel(f"The model {name!r} isn't installed: put {file} into MODEL_FOLDER.")
        raise UnknownModel(f"There is no model {name!r}; there is {', '.join(self.names)}.")

    def warm(self) -> list[str]:
        """Run each model once, so that the first job doesn't wait for allocations.

        Returns:
            For each server that can't run its model now, the reason. Jobs of that model will wait.

        Raises:
            ModelError: A model fails. The message names it.
        """
        unavailable = []
        for model in self._models.values():
            seconds = _WARM_SECONDS if model.manifest.url is None else _REMOTE_WARM_SECONDS
            try:
                model.check()
                model.run(blank_tensor(model.manifest), Deadline(seconds))
            except (EngineUnavailable, DeadlineExceeded) as error:
                if model.manifest.url is None:
                    raise
                unavailable.append(str(error))
        return unavailable

    @property
    def names(self) -> list[str]:
        """Sorted names of the installed models."""
        return sorted(self._models)

    @property
    def default(self) -> str:
        """Name of the model for jobs that name none."""
        return self._default

    def close(self) -> None:
        """Release every model. The memory of a model that is running is freed when it has ended."""
        for model in self._models.values():
            model.close()
        self._models.clear()


def find_entries(folder: Path | None) -> dict[str, Entry]:
    """Return every packaged manifest and every one in `folder`, by name, with its model's file.

    Raises:
        ModelError: A manifest is broken, or two in `folder` have the same name.
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
            raise ModelError(f"{path}: its file {manifest.location} isn't in {folder}")
        found[manifest.name] = Entry(manifest, path, weights)
    return found


def find_body_model(folder: Path | None, file: str, entries: Mapping[str, Entry]) -> Entry:
    """Return the model of `QWEN_MODEL_PATH`: an entry with this file, or a manifest next to it.

    The file may also be a manifest. It must be one if a server runs the model.

    Raises:
        ModelError: The file doesn't exist, or has no manifest.
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
    if (sidecar := path.with_suffix(".toml")).is_file():
        return Entry(read_manifest(sidecar), sidecar, path)
    for entry in entries.values():
        if entry.manifest.file == path.name:
            return Entry(entry.manifest, entry.described_in, path)
    session = OnnxSession(path, providers=[CPU], threads=1)
    raise ModelError(
        f"{path} has no manifest. Write {sidecar}, which describes its input, its output and its "
        "classes. Start with this draft, made from the file's own inputs and outputs:\n\n"
        + suggest_manifest(path, session.inputs, session.outputs)
    )


def open_entry(entry: Entry, *, providers: Sequence[str], threads: int) -> Engine:
    """Load an installed model and add its file's SHA-256 to its manifest. Call no server yet.

    Raises:
        ModelError: The file has another SHA-256 than its manifest, or can't be loaded.
    """
    if entry.manifest.url is not None:
        return RemoteModel(entry.manifest)
    if entry.weights is None:
        raise ModelError(
            f"{entry.described_in}: its file {entry.manifest.location} isn't installed"
        )
    digest = file_sha256(entry.weights)
    if entry.manifest.sha256 not in (None, digest):
        raise ModelError(
            f"{entry.weights}: its SHA-256 is {digest}, "
            f"but {entry.described_in} says {entry.manifest.sha256}"
        )
    manifest = entry.manifest.model_copy(update={"sha256": digest})
    return OnnxModel.open(manifest, entry.weights, providers=providers, threads=threads)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a model's file in hexadecimal, as `cat a.onnx a.bin | sha256sum`.

    Files with more of its weights follow the model's file in the order of their names.

    Raises:
        ModelError: A file with more of its weights isn't there, or isn't in its folder.
    """
    digest = hashlib.sha256()
    for part in (path, *external_files(path)):
        with part.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def _weights(manifest: Manifest, *folders: Path | None) -> Path | None:
    if manifest.file is None:
        return None
    paths = (folder / manifest.file for folder in folders if folder is not None)
    return next((path for path in paths if path.is_file()), None)
