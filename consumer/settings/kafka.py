"""How to reach Kafka, and the names of the line's topics and group."""

from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr, model_validator

from consumer.settings.base import SettingsGroup
from schemas import topics


class KafkaSettings(SettingsGroup):
    """How to reach Kafka, and the names of the line's topics and group."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: SecretStr | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    jobs_topic: str = topics.JOBS
    status_topic: str = topics.STATUS
    dead_letter_topic: str = topics.DEAD_LETTER
    control_topic: str = topics.CONTROL
    consumer_group: str = topics.CONSUMER_GROUP

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        if sasl and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs"
                " KAFKA_USERNAME and KAFKA_PASSWORD"
            )
        return self
