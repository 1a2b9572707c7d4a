"""A manifest: the TOML file that says all that a model needs, so that no model needs code.

The example to start from is `manifests/body-regions.toml`. Class names stand for indices
everywhere, so that a manifest can be read without counting.
"""

import re
import tomllib
from pathlib import Path
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
"""An output's name: in jobs, as the callback's file field, and as the PNG's stem."""

Triple = tuple[float, float, float]
Side = Annotated[int, Field(ge=1, le=8192)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Input(_Table):
    """`[input]`: how a photo becomes the model's input tensor."""

    height: Side
    """Height of the input, in pixels. With `fit = "area"`, height x width is the area aimed at."""

    width: Side
    """Width of the input, in pixels."""

    name: str | None = None
    """Name of the model's input. Default: its first."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the tensor's axes; N is the batch of one, C the colours."""

    colour: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels."""

    fit: Literal["stretch", "pad", "area"] = "stretch"
    """How the photo comes to that size.

    `stretch`: to exactly height x width, whatever its aspect. `pad`: as large as fits inside with
    its aspect kept, the rest filled with `pad_value`. `area`: scaled so that its area is about
    height x width with its aspect kept, each side rounded to `multiple` (the model's axes must
    be dynamic); nothing is padded.
    """

    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    """The padding's grey, 0 to 255 as in a photo, scaled and normalised like one (`pad` only)."""

    pad_place: Literal["end", "around"] = "end"
    """Where the padding goes: at the right and the bottom, or evenly on both sides (`pad` only)."""

    multiple: Annotated[int, Field(ge=1, le=256)] = 32
    """What each side is rounded to (`area` only)."""

    resample: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    """Filter that scales the photo, with Pillow's support: it widens when scaling down."""

    scale: Annotated[float, Field(gt=0)] | Literal["brightest"] = 255.0
    """What the values 0 to 255 are divided by; `brightest` is the photo's own greatest value."""

    mean: Triple = (0.0, 0.0, 0.0)
    """Subtracted after scaling, a channel each, in the order of `colour`."""

    std: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ] = (1.0, 1.0, 1.0)
    """Divided by after subtracting `mean`, a channel each, in the order of `colour`."""


class Output(_Table):
    """`[output]`: what the model's output means."""

    kind: Literal["logits", "probabilities", "alpha"]
    """`logits` and `probabilities`: a plane a class. `alpha`: one plane, the foreground's share."""

    index: Annotated[int, Field(ge=0)] = 0
    """Which of the model's outputs, counted from 0."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the output's axes; C is the classes. A missing batch or channel axis is fine."""

    align_corners: bool = False
    """Whether its outermost samples lie on the input's outermost pixels (PyTorch's sense).

    The stride needs no field: it follows from the sizes of input and output.
    """

    sigmoid: bool = False
    """Whether the plane still needs a sigmoid (`alpha` only)."""

    stretch: bool = False
    """Whether the plane is stretched to 0..1 by its own least and greatest value (`alpha` only).

    Done only where it holds both foreground (a value of at least a half) and background, so that
    an empty scene stays empty and a constant plane divides by nothing.
    """


class Classes(_Table):
    """`[classes]`: what the planes are, and which of them make a region."""

    names: Annotated[tuple[str, ...], Field(min_length=2, max_length=256)]
    """Every class in the order of its index."""

    upper: tuple[str, ...] = ()
    """Classes of the upper body: shoulders, chest, arms, hands, torso."""

    lower: tuple[str, ...] = ()
    """Classes of the lower body: hips, legs, calves; shoes only if you want them inside."""

    split: tuple[str, ...] = ()
    """Classes that cover both, such as a dress: upper above the hip line, lower below it."""

    face: tuple[str, ...] = ()
    """Classes of the face, whose lower end is the chin; without hair, which may be long.

    Only for `split`: where a person isn't whole in the photo, the hip line is measured from the
    face (see `hips`).
    """

    person: tuple[str, ...] = ()
    """Classes of a person, for `alpha_mask` and `cutout`. Default: all but the first."""

    @model_validator(mode="after")
    def _known(self) -> Self:
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
        """The indices of these classes, ascending."""
        return sorted(self.names.index(name) for name in names)


def _model_url(url: str) -> str:
    """The URL of a model, without a slash at its end; raise `ValueError` where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not an absolute http or https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL with a user, a query or a fragment")
    if not re.search(r"/v2/models/[^/]+(/versions/[^/]+)?/?$", parts.path):
        raise ValueError("its path must end in /v2/models/NAME or /v2/models/NAME/versions/N")
    return url.rstrip("/")


class Manifest(_Table):
    """One model, from its file to the masks that it gives by default."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What a job's `model` says."""

    file: str | None = None
    """The ONNX file: its name in `MODEL_FOLDER` (or beside the manifest)."""

    url: Annotated[str, AfterValidator(_model_url)] | None = None
    """In place of `file`: the model on a server that speaks the Open Inference Protocol v2.

    `http://host:8000/v2/models/name`, or with `/versions/1` behind it; https too.
    """

    binary: bool | None = None
    """Whether tensors travel as bytes rather than as JSON (`url` only).

    Default: as the server advertises (`binary_tensor_data`). KServe can, but doesn't say so.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256; when given, another file is refused. Once loaded it is always known."""

    source: str
    """Where the model and the facts in this manifest come from, and its licence."""

    outputs: Annotated[tuple[OutputName, ...], Field(min_length=1)]
    """What a job gets that names no outputs."""

    input: Input
    """The table `[input]`."""

    output: Output
    """The table `[output]`."""

    classes: Classes | None = None
    """The table `[classes]`; an `alpha` model has none."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("file or url: exactly one of them says where the model is")
        if self.url is not None and self.sha256 is not None:
            raise ValueError("sha256: there is no file to check, the model is on a server")
        if self.url is None and self.binary is not None:
            raise ValueError("binary: only a model with a url has tensors that travel")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
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
    def place(self) -> str:
        """Where the model is: its file's name, or its URL."""
        return self.file or self.url or ""

    @property
    def possible(self) -> tuple[OutputName, ...]:
        """Every output that the model can give."""
        matte: tuple[OutputName, ...] = ("alpha_mask", "cutout")
        if self.classes is None:
            return matte
        upper: tuple[OutputName, ...] = ("upper_body_mask",) if self.classes.upper else ()
        lower: tuple[OutputName, ...] = ("lower_body_mask",) if self.classes.lower else ()
        return (*upper, *lower, "seg_map", *matte)


def read_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file.

    Raises:
        ModelError: The file can't be read, isn't TOML, or has a key that is wrong; all are named.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(table)
    except ValidationError as error:
        raise ModelError(f"{path}: {_faults(error)}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: unknown key"
        if fault["type"] == "extra_forbidden"
        else ": ".join(filter(None, (".".join(str(part) for part in fault["loc"]), fault["msg"])))
        for fault in error.errors()
    )
