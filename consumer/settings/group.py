"""What every group of settings shares: the environment, files in `SECRETS_DIR`, clear errors."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consumer.errors import StartError
from consumer.settings.files import SecretFiles, secrets_folder

_LONGEST_SHOWN = 200
_SECRET_WORDS = ("SECRET", "PASSWORD", "USERNAME", "KEY", "TOKEN")
_SHOWN_SECRETS = ("kafka_username", "aws_access_key_id")
"""Names of accounts: Kafka and S3 name them in the errors that a person must understand."""
_SECRET_LISTS = ("callback_signing_secret", "api_keys")


class SettingsGroup(BaseSettings):
    """Settings of one concern; a field's name in capitals is the environment variable's."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False
    )

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then the files of secrets."""
        folder = secrets_folder()
        return (env_settings, SecretFiles(settings_cls, folder)) if folder else (env_settings,)

    def secrets(self) -> Iterator[str]:
        """Give what must never be shown: every secret, and each entry of one that is a list."""
        for name, value in self:
            if isinstance(value, SecretStr) and name not in _SHOWN_SECRETS:
                secret = value.get_secret_value()
                yield secret
                if name in _SECRET_LISTS:
                    yield from (part.strip() for part in secret.split(","))


Group = TypeVar("Group", bound=SettingsGroup)


def load(group: type[Group]) -> Group:
    """Read one group of settings; raise `StartError` that names each bad one."""
    try:
        return group()
    except ValidationError as error:
        raise _wrong("; ".join(_explain(error))) from None
    except ValueError as error:  # of a file in SECRETS_DIR
        raise _wrong(str(error)) from None


def _wrong(reason: str) -> StartError:
    """Make the error; what was given may have had bytes that are no text, and lines."""
    text = reason.encode(errors="backslashreplace").decode()
    return StartError(" ".join(text.split()), exit_code=2)


def _explain(error: ValidationError) -> Iterator[str]:
    """Say what is wrong with each setting, a phrase each."""
    for fault in error.errors(include_input=True, include_url=False):
        name = str(fault["loc"][0]).upper() if fault["loc"] else ""
        if fault["type"] == "missing":
            yield f"{name} is not set, and there is no default"
            continue
        ours = fault["type"] == "value_error"
        reason = fault["msg"].removeprefix("Value error, ")
        given = _shown(name, fault["input"])
        yield f"{name}{given}{' ' if ours else ': '}{reason}" if name else reason


def _shown(name: str, given: object) -> str:
    """Show what was given, without what may be a password in it."""
    if not isinstance(given, str) or any(word in name for word in _SECRET_WORDS):
        return ""
    _, at, rest = given.rpartition("@")
    shown = f"***@{rest}" if at else given
    return f"={shown.partition('?')[0][:_LONGEST_SHOWN]!r}"
