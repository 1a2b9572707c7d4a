"""A Kafka where one user has no right but those that a test grants."""

from pathlib import Path

from aiokafka.protocol.admin import CreateAclsRequest

from producer_tools.local import ports
from producer_tools.local.kafka.broker import Kafka
from tests.support.topics import administration

USER, PASSWORD = "narrow", "narrow-password"
TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
"""Kafka's numbers of kinds of resources."""
LITERAL, PREFIXED = 3, 4
OPERATIONS = {"READ": 3, "WRITE": 4, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
_ALLOW = 3

_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SECURITY = """
sasl.enabled.mechanisms=PLAIN
listener.name.narrow.plain.sasl.jaas.config={module} required user_{user}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
"""


class NarrowKafka(Kafka):
    """`bootstrap_servers` may do all; `narrow_servers` knows `USER` alone."""

    @property
    def narrow_servers(self) -> str:
        """Where the user with few rights connects, by SASL_PLAINTEXT."""
        return f"{ports.HOST}:{self._narrow}"

    def environment_of_user(self) -> dict[str, str]:
        """Give Kafka's settings for the user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.narrow_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_USERNAME": USER,
            "KAFKA_PASSWORD": PASSWORD,
        }

    async def grant(self, operation: str, kind: int, name: str, *, pattern: int = LITERAL) -> None:
        """Grant the user an operation on a resource."""
        async with administration(self.bootstrap_servers) as admin:
            answer = await admin._send_request(
                CreateAclsRequest(
                    kind, name, pattern, f"User:{USER}", "*", OPERATIONS[operation], _ALLOW
                )
            )
        assert [code for code, _ in answer.creation_responses] == [0]

    def _write_properties(self, file: Path) -> None:
        self._narrow = ports.choose("Kafka's listener for a user", setting="")
        super()._write_properties(file)
        where = f",NARROW://{ports.HOST}:{self._narrow}"
        lines = file.read_text().splitlines()
        text = "\n".join(
            line + where
            if line.startswith(("listeners=", "advertised.listeners="))
            else line + ",NARROW:SASL_PLAINTEXT"
            if line.startswith("listener.security.protocol.map=")
            else line
            for line in lines
        )
        file.write_text(text + _SECURITY.format(module=_MODULE, user=USER, password=PASSWORD))
