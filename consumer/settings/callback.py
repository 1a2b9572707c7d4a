"""Where masks go."""

from pydantic import Field, SecretStr

from consumer.settings.addresses import Origin, Url
from consumer.settings.base import SettingsGroup
from consumer.settings.line import DAY_SECONDS
from consumer.settings.lists import CommaList


class CallbackSettings(SettingsGroup):
    """Where masks go."""

    mask_asset_url: Url
    mask_component_secret: SecretStr
    callback_allowed_origins: CommaList[Origin] = ()
    callback_timeout_seconds: float = Field(30, gt=0, le=DAY_SECONDS)
