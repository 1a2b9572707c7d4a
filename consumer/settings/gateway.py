"""The HTTP gateway: its port, who may call it, and what it takes and reads."""

from pydantic import Field, SecretStr, field_validator

from consumer.settings.addresses import Origin
from consumer.settings.group import SettingsGroup
from consumer.settings.lists import Bucket, CommaList


class GatewaySettings(SettingsGroup):
    """The HTTP gateway."""

    port: int = Field(8003, ge=0, le=65535)
    api_keys: SecretStr | None = None
    cors_allowed_origins: CommaList[Origin] = ()
    upload_max_bytes: int = Field(10 * 1024 * 1024, ge=1, le=1024**3)
    upload_max_side: int = Field(2048, ge=1, le=65535)
    result_buckets: CommaList[Bucket] = ()

    @field_validator("api_keys")
    @classmethod
    def _keys_can_be_sent(cls, given: SecretStr | None) -> SecretStr | None:
        """Refuse a key that no header can have."""
        for key in _entries(given):
            if not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError("has a key with characters that no header has")
        if given is not None and not _entries(given):
            raise ValueError("has no entry; to leave it unset, leave it empty")
        return given

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that callers may have. None: the gateway is open."""
        return _entries(self.api_keys)


def _entries(given: SecretStr | None) -> tuple[str, ...]:
    text = "" if given is None else given.get_secret_value()
    return tuple(part.strip() for part in text.split(",") if part.strip())
