"""Where masks go."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from consumer.settings.addresses import Origin, Url
from consumer.settings.files import NamedFile
from consumer.settings.group import SettingsGroup
from consumer.settings.line import DAY_SECONDS
from consumer.settings.lists import CommaList
from consumer.settings.signing_keys import parse_keys


def _certificates(file: Path) -> Path:
    """Keep the path of a file of certificates."""
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ValueError(f"is no PEM file of certificates: {error}") from None
    return file


def _signing_secret(secret: SecretStr) -> SecretStr:
    """Keep secrets that are keys."""
    parse_keys(secret.get_secret_value())
    return secret


class CallbackSettings(SettingsGroup):
    """Where masks go."""

    mask_asset_url: Url
    mask_component_secret: SecretStr
    callback_allowed_origins: CommaList[Origin] = ()
    callback_timeout_seconds: float = Field(30, gt=0, le=DAY_SECONDS)
    callback_budget_seconds: float = Field(120, gt=0, le=DAY_SECONDS)
    callback_ca_file: Annotated[NamedFile, AfterValidator(_certificates)] | None = None
    callback_signing_secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = None

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys that sign posts to `MASK_ASSET_URL`; none where they go unsigned."""
        secret = self.callback_signing_secret
        return () if secret is None else parse_keys(secret.get_secret_value())
