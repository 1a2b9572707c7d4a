"""Where masks go."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from consumer.settings.base import CommaList, SettingsGroup, Url


class CallbackSettings(SettingsGroup):
    """Where masks go."""

    mask_asset_url: Url
    mask_component_secret: SecretStr
    callback_allowed_origins: CommaList = ()
    callback_timeout_seconds: float = Field(30, gt=0)

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Self:
        for origin in self.callback_allowed_origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
                raise ValueError(
                    f"CALLBACK_ALLOWED_ORIGINS: {origin!r} is not an origin like https://host:port"
                )
        return self
