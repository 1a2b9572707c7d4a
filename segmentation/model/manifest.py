"""The manifest: a TOML file that describes a model, so that adding a model needs no code.

Start from the example `manifests/body-regions.toml`. Manifests refer to classes by name, never by
index.
"""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from segmentation.errors import ModelError

OutputName = Literal["upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout"]
"""An output's name, used in jobs and in the callback. `schemas.job.OutputName` is the same list.

This package imports nothing from `schemas`, so a test compares the two.
"""

MAX_CLASSES = 256
"""Most classes that a model may have, because `seg_map` stores a class as one byte."""

Triple = tuple[float, float, float]
Side = Annotated[int, Field(ge=1, le=8192)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Input(_Table):
    """`[input]`: how the model's input tensor is made from a photo."""

    height: Side
    """Height of the input, in pixels. With `fit = "area"`, height x width is the target area."""

    width: Side
    """Width of the input, in pixels."""

    name: str | None = None
    """Name of the model's input. Default: its first."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the tensor's axes. N is the batch (of one photo), C the colour channels."""

    colour: Literal["RGB", "BGR"] = "RGB"
    """Order of the colour channels."""

    fit: Literal["stretch", "pad", "area"] = "stretch"
    """How the photo is scaled to that size.

    `stretch`: to exactly height x width; its aspect ratio changes. `pad`: to the largest size that
    fits inside with the same aspect ratio; the rest is filled with `pad_value`. `area`: to an area
    of about height x width with the same aspect ratio, each side rounded to `multiple`; nothing is
    padded. The model's axes must be dynamic for `area`.
    """

    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    """Grey value of the padding, 0 to 255, normalised like the photo (`pad` only)."""

    pad_place: Literal["end", "around"] = "end"
    """Where the padding is: at the right and the bottom, or equally on all sides (`pad` only)."""

    multiple: Annotated[int, Field(ge=1, le=256)] = 32
    """Each side is rounded to a multiple of this number (`area` only)."""

    resample: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    """Pillow's filter for scaling the photo. Its support widens when it scales down."""

    scale: Annotated[float, Field(gt=0)] | Literal["brightest"] = 255.0
    """Divisor of the values 0 to 255. `brightest`: the greatest value in the photo."""

    mean: Triple = (0.0, 0.0, 0.0)
    """Subtracted from each channel after scaling, in the order of `colour`."""

    std: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ] = (1.0, 1.0, 1.0)
    """Divisor of each channel after subtracting `mean`, in the order of `colour`."""


class Output(_Table):
    """`[output]`: the meaning of the model's output tensor."""

    kind: Literal["logits", "probabilities", "alpha"]
    """`logits`, `probabilities`: one plane for each class. `alpha`: one plane, the foreground."""

    index: Annotated[int, Field(ge=0)] = 0
    """Index of the model's output, counted from 0."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the output's axes. C is the classes. The axes N and C may be missing."""

    align_corners: bool = False
    """Whether the outermost samples lie on the input's outermost pixels, as in PyTorch.

    The stride needs no field: it follows from the sizes of input and output.
    """

    sigmoid: bool = False
    """Whether a sigmoid is applied to the plane (`alpha` only)."""

    stretch: bool = False
    """Whether the plane's values are stretched to the range 0..1 (`alpha` only).

    A plane is stretched only if it has both foreground (a value of 0.5 or more) and background. So
    the mask of an empty scene stays empty, and a constant plane causes no division by zero.
    """


class Classes(_Table):
    """`[classes]`: the names of the class planes, and the classes of each region."""

    names: Annotated[tuple[str, ...], Field(min_length=2, max_length=MAX_CLASSES)]
    """Names of all classes, in the order of their indices."""

    upper: tuple[str, ...] = ()
    """Classes of the upper body: shoulders, chest, arms, hands, torso."""

    lower: tuple[str, ...] = ()
    """Classes of the lower body: hips, legs, calves; shoes if the mask should include them."""

    split: tuple[str, ...] = ()
    """Classes that cover both regions, such as a dress. They are divided at the hip line."""

    face: tuple[str, ...] = ()
    """Classes of the face without the hair, so that their lower end is the chin.

    Used only with `split`: if a part of the person is outside the photo, the hip line is measured
    from the face (see `segmentation/masks/hip_line.py`).
    """

    person: tuple[str, ...] = ()
    """Classes of a person, for `alpha_mask` and `cutout`. Default: all but the first."""

    min_confidence: Annotated[float, Field(ge=0, lt=1)] = 0
    """The least mean probability of a person in a connected group of a person's samples.

    What is below counts as nobody (see `segmentation/masks/confidence.py`). 0 keeps all.
    """

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: a class is named twice")
        for field in ("upper", "lower", "split", "face", "person"):
            if unknown := set(getattr(self, field)) - set(self.names):
                raise ValueError(f"{field}: {', '.join(sorted(unknown))} isn't among names")
        regions = (*self.upper, *self.lower, *self.split)
        if twice := {name for name in regions if regions.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))}: in more than one of upper, lower, split")
        return self

    def indices(self, names: tuple[str, ...]) -> list[int]:
        """Return the indices of these classes in ascending order."""
        return sorted(self.names.index(name) for name in names)


def _check_url(url: str) -> str:
    """Check that this is the URL of a model, and return it without a slash at its end."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not an absolute http or https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL with a user, a query or a fragment")
    if not re.search(r"/v2/models/[^/]+(/versions/[^/]+)?/?$", parts.path):
        raise ValueError("its path must end in /v2/models/NAME or /v2/models/NAME/versions/N")
    return url.rstrip("/")


def _check_file(file: str) -> str:
    """Check that this is the path of a file in a folder, which it can't leave."""
    path = PurePosixPath(file)
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in file:
        raise ValueError("not the name of a file in the manifest's folder")
    return file


class Manifest(_Table):
    """Everything that the service needs to know about a model."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """The model's name. Jobs select the model with it."""

    file: Annotated[str, AfterValidator(_check_file)] | None = None
    """File name of the ONNX model in `MODEL_FOLDER` (or next to the manifest)."""

    url: Annotated[str, AfterValidator(_check_url)] | None = None
    """URL of the model on a server of the Open Inference Protocol v2, instead of `file`.

    `http://host:8000/v2/models/name`, optionally followed by `/versions/1`. https works too.
    """

    binary: bool | None = None
    """Whether tensors are sent as bytes, not as JSON (`url` only).

    Default: bytes if the server advertises `binary_tensor_data`. KServe accepts bytes without
    advertising it.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256. If it is given, another file is refused. Loading the file sets it.

    If the model has weights in more files, it is the SHA-256 of all of them one after the other:
    the model's file, then the others in the order of their names.
    """

    source: str
    """Origin of the model and of the facts in this manifest, and the licence."""

    outputs: Annotated[tuple[OutputName, ...], Field(min_length=1)]
    """Outputs of a job that requests none."""

    input: Input
    """The table `[input]`."""

    output: Output
    """The table `[output]`."""

    classes: Classes | None = None
    """The table `[classes]`. An `alpha` model has none."""

    @model_validator(mode="after")
    def _check_location(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("file or url: exactly one of them is needed")
        if self.url is not None and self.sha256 is not None:
            raise ValueError("sha256: there is no file to check, the model is on a server")
        if self.url is None and self.binary is not None:
            raise ValueError("binary: only a model with a url can have it")
        return self

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        alpha = self.output.kind == "alpha"
        if alpha and self.classes is not None:
            raise ValueError("classes: a model whose output is alpha has none")
        if not alpha and self.classes is None:
            raise ValueError(f"classes: missing, the output is {self.output.kind}")
        if not alpha and (self.output.sigmoid or self.output.stretch):
            raise ValueError("output: sigmoid and stretch are for alpha")
        if missing := set(self.outputs) - set(self.possible):
            raise ValueError(f"outputs: the model can't give {', '.join(sorted(missing))}")
        return self

    @property
    def location(self) -> str:
        """The name of the model's file, or its URL."""
        return self.file or self.url or ""

    @property
    def possible(self) -> tuple[OutputName, ...]:
        """Every output that the model can make."""
        matte: tuple[OutputName, ...] = ("alpha_mask", "cutout")
        if self.classes is None:
            return matte
        upper: tuple[OutputName, ...] = ("upper_body_mask",) if self.classes.upper else ()
        lower: tuple[OutputName, ...] = ("lower_body_mask",) if self.classes.lower else ()
        return (*upper, *lower, "seg_map", *matte)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from a TOML file.

    Raises:
        ModelError: The file can't be read, isn't TOML, or has wrong keys. The message names them.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(table)
    except ValidationError as error:
        raise ModelError(f"{path}: {_problems(error)}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: unknown key"
        if problem["type"] == "extra_forbidden"
        else ": ".join(
            filter(None, (".".join(str(part) for part in problem["loc"]), problem["msg"]))
        )
        for problem in error.errors()
    )
