"""A Kafka as companies run it: TLS, three ways to log in, and an authorizer."""

import base64
import json
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

from producer_tools.local import ports
from producer_tools.local.kafka.broker import COMMON_PROPERTIES, Kafka
from tests.support.certificates import Authority

PASSWORDS = {
    name: f"{name}-password"
    for name in (
        "admin", "consumer", "gateway", "operator", "topic-creator", "producer", "subscriber",
        "replayer",
    )
}  # fmt: skip

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller}
listeners=BROKER://localhost:{broker},\\
SCRAM://localhost:{scram},MTLS://localhost:{mtls},OAUTH://localhost:{oauth},CONTROLLER://localhost:{controller}
advertised.listeners=BROKER://localhost:{broker},\\
SCRAM://localhost:{scram},MTLS://localhost:{mtls},OAUTH://localhost:{oauth}
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:SSL,CONTROLLER:SSL,SCRAM:SASL_SSL,MTLS:SSL,OAUTH:SASL_SSL
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.scram.scram-sha-512.sasl.jaas.config=\\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.scram.scram-sha-256.sasl.jaas.config=\\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=\\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \\
unsecuredLoginStringClaim_sub="broker";
listener.name.broker.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
listener.name.mtls.ssl.client.auth=required
connections.max.reauth.ms={reauth}
ssl.keystore.type=PEM
ssl.keystore.location={folder}/pki/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/pki/ca.crt
ssl.principal.mapping.rules=RULE:^(.*,)?CN=([^,]+)(,.*)?$/$2/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin
allow.everyone.if.no.acl.found=false
"""


class SecureKafka(Kafka):
    """One broker with a listener a way to log in. Its principals `broker` and `admin` may do all.

    `port` is the listener of SCRAM, `mtls_port` and `oauth_port` those of the other two.
    """

    mtls_port: int
    oauth_port: int
    authority: Authority

    def __init__(self, *, reauth_milliseconds: int = 0) -> None:
        super().__init__()
        self._reauth = reauth_milliseconds

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the broker's command. Make its certificates and users if the folder is new."""
        properties = self.folder / "server.properties"
        if first:
            self._set_up(properties)
        return self._java("kafka.Kafka", str(properties))

    def client_context(self) -> ssl.SSLContext:
        """What a client trusts that has no certificate of its own."""
        return ssl.create_default_context(cafile=self.authority.file)

    def admin_options(self) -> dict[str, Any]:
        """Give the arguments of a client that may do all, and whose session has no end."""
        pair = self.folder / "admin.pem"
        pair.write_bytes(self.authority.pair("admin"))
        context = self.client_context()
        context.load_cert_chain(pair)
        return {
            "bootstrap_servers": self.address("mtls"),
            "security_protocol": "SSL",
            "ssl_context": context,
        }

    def environment_of(self, user: str) -> dict[str, str]:
        """Kafka's settings of a user that logs in by SCRAM."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.address("scram"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_USERNAME": user,
            "KAFKA_PASSWORD": PASSWORDS[user],
            "KAFKA_CA_FILE": str(self.authority.file),
        }

    def address(self, way: str) -> str:
        """The address for clients that log in by `scram`, `mtls` or `oauth`."""
        port = {"scram": self.port, "mtls": self.mtls_port, "oauth": self.oauth_port}[way]
        return f"localhost:{port}"

    def _set_up(self, properties: Path) -> None:
        pki = self.folder / "pki"
        pki.mkdir()
        self.authority = Authority(pki)
        (pki / "broker.pem").write_bytes(self.authority.pair("broker"))
        self.mtls_port = ports.choose("Kafka's listener for mTLS", setting="")
        self.oauth_port = ports.choose("Kafka's listener for OAuth", setting="")
        properties.write_text(
            (_PROPERTIES + COMMON_PROPERTIES).format(
                folder=self.folder,
                controller=ports.choose("Kafka's controller", setting=""),
                broker=ports.choose("Kafka's own listener", setting=""),
                scram=self.port,
                mtls=self.mtls_port,
                oauth=self.oauth_port,
                reauth=self._reauth,
            )
        )
        users = [
            argument
            for name, password in PASSWORDS.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        # It prints the users' records, which are secrets: nobody reads its output.
        subprocess.run(
            self._java(
                "kafka.tools.StorageTool", "format", "--cluster-id", "bWFza2xpbmUtc2VjdXJlMQ",
                "--config", str(properties), *users,
            ),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip


def unsecured_token(principal: str, *, seconds: float) -> str:
    """Make a token of so many seconds that Kafka's unsecured validator takes (RFC 7515, `none`)."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": principal, "iat": now, "exp": now + seconds})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return ".".join(part.decode() for part in encoded) + "."
