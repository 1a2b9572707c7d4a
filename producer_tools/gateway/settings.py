"""All settings of the gateway, read once."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from consumer.settings import (
    GatewaySettings,
    ImageSettings,
    KafkaSettings,
    LineSettings,
    ModelSettings,
    S3Settings,
    ServingSettings,
    TracingSettings,
    ViewSettings,
    load,
)


class Settings:
    """The line's own values, and the gateway's."""

    def __init__(self) -> None:
        """Raise `StartError` naming each bad setting, never its secret value."""
        self.kafka = load(KafkaSettings)
        self.s3 = load(S3Settings)
        self.line = load(LineSettings)
        self.models = load(ModelSettings)
        self.images = load(ImageSettings)
        self.serving = load(ServingSettings)
        self.view = load(ViewSettings)
        self.gateway = load(GatewaySettings)
        self.tracing = load(TracingSettings)

    @property
    def temp_folder(self) -> Path:
        """Where uploads are spooled."""
        return self.view.temp_folder or Path(tempfile.gettempdir())

    def secrets(self) -> Iterator[str]:
        """Give what must never be shown."""
        for group in vars(self).values():
            yield from group.secrets()
