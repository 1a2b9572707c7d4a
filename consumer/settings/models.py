"""Which models there are, and how they run."""

from pathlib import Path

from pydantic import Field

from consumer.settings.group import SettingsGroup
from consumer.settings.lists import CommaList


class ModelSettings(SettingsGroup):
    """Which models there are and how they run."""

    model_folder: Path | None = None
    qwen_model_path: str | None = None
    onnx_providers: CommaList[str] = ("CPUExecutionProvider",)
    onnx_threads: int | None = Field(None, ge=1, le=256)
