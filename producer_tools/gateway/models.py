"""The models that jobs can name, from their manifests: no session is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.settings import ModelSettings
from producer_tools.gateway.refusal import bad
from schemas.job import OUTPUTS
from segmentation.catalog.inspection import list_models

_ALIASES = {"siluette": "silueta", "isnet-general": "isnet-general-use"}
_REMBGS_DEFAULT = "u2net"


@dataclass(frozen=True, slots=True)
class Models:
    """The installed models."""

    default: str
    outputs: dict[str, tuple[str, ...]]
    """By model, all that it can make, in the manifest's order."""

    @classmethod
    def read(cls, settings: ModelSettings) -> "Models":
        """Read the manifests. This blocks.

        Raises:
            ModelError: A manifest is broken.
        """
        found = list_models(settings.model_folder, settings.qwen_model_path)
        default = next(model.name for model in found if model.default)
        return cls(default, {each.name: each.outputs for each in found if each.installed})

    @property
    def names(self) -> Sequence[str]:
        """The installed models, sorted."""
        return sorted(self.outputs)

    def named(self, name: str) -> str:
        """Return the installed model of that name.

        Raises:
            Refused: There is none.
        """
        meant = _ALIASES.get(name, name)
        if meant not in self.outputs:
            raise bad(f"Unknown model {name[:100]!r}. Installed: {', '.join(self.names)}.")
        return meant

    def rembgs(self, name: str | None) -> str:
        """Return the model of a submit of seed 2, where `u2net` is the default if it is there."""
        if name:
            return self.named(name)
        return _REMBGS_DEFAULT if _REMBGS_DEFAULT in self.outputs else self.default

    def first_output(self, model: str | None, stored: Sequence[str]) -> str | None:
        """Return the first of a model's outputs that was stored. None: nothing was."""
        order = (*self.outputs.get(model or self.default, ()), *OUTPUTS, *stored)
        return next((output for output in order if output in stored), None)
