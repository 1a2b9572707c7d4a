"""Every setting, from the environment or, for secrets, from files in `SECRETS_DIR`."""

import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
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


class _Group(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    def __init__(self) -> None:
        super().__init__(_secrets_dir=os.environ.get("SECRETS_DIR"))


class KafkaSettings(_Group):
    """How to reach Kafka, and the names of the line's topics and group."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: SecretStr | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    jobs_topic: str = "mask.jobs"
    status_topic: str = "mask.status"
    dead_letter_topic: str = "mask.jobs.dlq"
    control_topic: str = "mask.control"
    consumer_group: str = "mask-segmentation"

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        if sasl and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs"
                " KAFKA_USERNAME and KAFKA_PASSWORD"
            )
        return self

    def connection(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client takes."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.kafka_username and self.kafka_password:
            arguments["sasl_mechanism"] = self.kafka_sasl_mechanism
            arguments["sasl_plain_username"] = self.kafka_username.get_secret_value()
            arguments["sasl_plain_password"] = self.kafka_password.get_secret_value()
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.kafka_ca_file)
            if self.kafka_cert_file:
                context.load_cert_chain(self.kafka_cert_file, self.kafka_key_file)
        except OSError as error:
            raise StartError(
                f"KAFKA_CA_FILE, KAFKA_CERT_FILE or KAFKA_KEY_FILE can't be used: {error}",
                exit_code=2,
            ) from error
        return context


class S3Settings(_Group):
    """Where photos are; credentials come from the AWS chain."""

    s3_endpoint_url: Url | None = None
    s3_region: str = "us-east-1"
    s3_allowed_buckets: CommaList = ()


class LineSettings(_Group):
    """How much is under way at once, and for how long."""

    worker_count: int = Field(2, ge=1, le=256)
    max_in_flight: int = Field(16, ge=1, le=10_000)
    queue_max_size: int = Field(100, ge=1)
    job_deadline_seconds: float = Field(60, gt=0)
    shutdown_grace_seconds: float = Field(25, ge=0)
    dead_letter_limit: int = Field(100, ge=0)
    max_attempts: int = Field(3, ge=1)


class ModelSettings(_Group):
    """Which models there are and how they run."""

    model_folder: Path | None = None
    qwen_model_path: str | None = None
    onnx_providers: CommaList = ("CPUExecutionProvider",)
    onnx_threads: int | None = Field(None, ge=1, le=256)


class ImageSettings(_Group):
    """What a photo may be at the most."""

    max_image_bytes: int = Field(25 * 1024 * 1024, ge=1)
    max_image_pixels: int = Field(50_000_000, ge=1)
    image_formats: CommaList = ("JPEG", "PNG", "WEBP")


class CallbackSettings(_Group):
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


class ServingSettings(_Group):
    """Where we answer, and how we log."""

    host: str = "0.0.0.0"  # noqa: S104  # the contract's default: a pod's probes come from outside
    health_port: int = Field(8004, ge=0, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"


Group = TypeVar("Group", bound=_Group)


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

    def secrets(self) -> list[str]:
        """What must never be shown."""
        given = (self.kafka.kafka_password, self.callback.mask_component_secret)
        return [secret.get_secret_value() for secret in given if secret]


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
