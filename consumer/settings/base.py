"""What every group of settings shares: the environment, files in `SECRETS_DIR`, clear errors."""

import os
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, HttpUrl, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from consumer.errors import StartError


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _http_url(value: str) -> str:
    TypeAdapter(HttpUrl).validate_python(value)
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Url = Annotated[str, AfterValidator(_http_url)]


class SettingsGroup(BaseSettings):
    """Settings of one concern; a field's name in capitals is the environment variable's."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    def __init__(self) -> None:
        super().__init__(_secrets_dir=os.environ.get("SECRETS_DIR"))


Group = TypeVar("Group", bound=SettingsGroup)


def load(group: type[Group]) -> Group:
    """Read one group of settings; raise `StartError` that names each bad one."""
    try:
        return group()
    except ValidationError as error:
        raise StartError(_explain(error), exit_code=2) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_input=True, include_url=False):
        name = str(fault["loc"][0]).upper() if fault["loc"] else ""
        if fault["type"] == "missing":
            lines.append(f"{name} is not set, and there is no default")
            continue
        given = fault["input"]
        shown = f"={given!r}" if name and isinstance(given, str) and not _is_secret(name) else ""
        lines.append(f"{name}{shown}: {fault['msg']}".removeprefix(": "))
    return "; ".join(lines)


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("SECRET", "PASSWORD", "USERNAME", "KEYS"))
