"""Every setting, from the environment or, for secrets, from files in `SECRETS_DIR`.

A module a group. To add a setting, add a field to its group and a line to docs/operating.md.
"""

from collections.abc import Iterator

from consumer.settings.callback import CallbackSettings
from consumer.settings.gateway import GatewaySettings
from consumer.settings.group import load
from consumer.settings.images import ImageSettings
from consumer.settings.kafka import KafkaSettings
from consumer.settings.line import LineSettings
from consumer.settings.models import ModelSettings
from consumer.settings.s3 import S3Settings
from consumer.settings.serving import ServingSettings
from consumer.settings.tracing import TracingSettings
from consumer.settings.view import ViewSettings

__all__ = [
    "CallbackSettings",
    "GatewaySettings",
    "ImageSettings",
    "KafkaSettings",
    "LineSettings",
    "ModelSettings",
    "S3Settings",
    "ServingSettings",
    "Settings",
    "TracingSettings",
    "ViewSettings",
    "load",
]


class Settings:
    """All settings of the consumer, read once."""

    def __init__(self) -> None:
        """Raise `StartError` naming each bad setting, never its secret value."""
        self.kafka = load(KafkaSettings)
        self.s3 = load(S3Settings)
        self.line = load(LineSettings)
        self.models = load(ModelSettings)
        self.images = load(ImageSettings)
        self.callback = load(CallbackSettings)
        self.serving = load(ServingSettings)
        self.tracing = load(TracingSettings)

    def secrets(self) -> Iterator[str]:
        """Give what must never be shown."""
        for group in vars(self).values():
            yield from group.secrets()
