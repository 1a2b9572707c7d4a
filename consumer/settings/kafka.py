"""How to reach Kafka, and the names of the line's topics and group."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from consumer.settings.addresses import Brokers, Url
from consumer.settings.files import NamedFile
from consumer.settings.group import SettingsGroup
from schemas import topics

_BROKERS_OWN = ("__consumer_offsets", "__transaction_state", "__share_group_state")


def _topic(name: str) -> str:
    if name in (".", "..", *_BROKERS_OWN):
        raise ValueError("is no topic's name")
    return name


TopicName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=249), AfterValidator(_topic)
]
GroupName = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=200)]


class KafkaSettings(SettingsGroup):
    """How to reach Kafka, and the names of the line's topics and group."""

    kafka_bootstrap_servers: Brokers = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = (
        "PLAIN"
    )
    kafka_username: SecretStr | None = None
    kafka_password: SecretStr | None = None
    kafka_oauth_token_url: Url | None = None
    kafka_oauth_client_id: str | None = None
    kafka_oauth_client_secret: SecretStr | None = None
    kafka_oauth_scope: str | None = None
    kafka_ca_file: NamedFile | None = None
    kafka_cert_file: NamedFile | None = None
    kafka_key_file: NamedFile | None = None
    jobs_topic: TopicName = topics.JOBS
    status_topic: TopicName = topics.STATUS
    dead_letter_topic: TopicName = topics.DEAD_LETTER
    control_topic: TopicName = topics.CONTROL
    consumer_group: GroupName = topics.CONSUMER_GROUP

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> Self:
        if not self.kafka_security_protocol.startswith("SASL"):
            return self
        by = f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}"
        needed = ["kafka_username", "kafka_password"]
        if self.kafka_sasl_mechanism == "OAUTHBEARER":
            by = "KAFKA_SASL_MECHANISM=OAUTHBEARER"
            needed = [
                "kafka_oauth_token_url", "kafka_oauth_client_id", "kafka_oauth_client_secret"
            ]  # fmt: skip
        if missing := [name.upper() for name in needed if not getattr(self, name)]:
            raise ValueError(f"{by} needs {' and '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.kafka_key_file and not self.kafka_cert_file:
            raise ValueError("KAFKA_KEY_FILE is the key of KAFKA_CERT_FILE, which is not set")
        return self

    @model_validator(mode="after")
    def _each_topic_has_one_role(self) -> Self:
        roles: dict[str, str] = {}
        for role in ("jobs_topic", "status_topic", "dead_letter_topic", "control_topic"):
            name = getattr(self, role)
            # Kafka takes `.` and `_` for the same: in its metrics' names they are.
            other = roles.setdefault(name.replace(".", "_"), role)
            if other != role:
                raise ValueError(
                    f"{other.upper()}={getattr(self, other)} and {role.upper()}={name} are one"
                    " topic to Kafka: each needs its own"
                )
        return self
