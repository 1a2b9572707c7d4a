"""Three ways to log in to Kafka, and a sentence for each reason why one fails."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from consumer.errors import StartError
from consumer.kafka.topics import check
from consumer.settings import KafkaSettings, load
from producer_tools.local.stack import LocalStack
from tests.support.certificates import Authority
from tests.support.receiver import reply
from tests.support.secure_kafka import PASSWORDS, SecureKafka
from tests.support.token_endpoint import CLIENT, SECRET, TokenEndpoint

pytestmark = pytest.mark.integration

Settings = Callable[..., KafkaSettings]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KAFKA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(secure_kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that log in as `admin` by a way, but for what a test changes."""

    def load_with(way: str, **changes: object) -> KafkaSettings:
        pair = secure_kafka.folder / "admin.pem"
        pair.write_bytes(secure_kafka.authority.pair("admin"))
        ways: dict[str, dict[str, object]] = {
            "scram": {
                "kafka_security_protocol": "SASL_SSL",
                "kafka_sasl_mechanism": "SCRAM-SHA-512",
                "kafka_username": "admin",
                "kafka_password": PASSWORDS["admin"],
            },
            "mtls": {"kafka_security_protocol": "SSL", "kafka_cert_file": pair},
            "oauth": {
                "kafka_security_protocol": "SASL_SSL",
                "kafka_sasl_mechanism": "OAUTHBEARER",
                "kafka_oauth_client_id": CLIENT,
                "kafka_oauth_client_secret": SECRET,
            },
        }
        values = {
            "kafka_bootstrap_servers": secure_kafka.address(way),
            "kafka_ca_file": secure_kafka.authority.file,
            **ways[way],
            **changes,
        }
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), str(value))
        return load(KafkaSettings)

    return load_with


@pytest.fixture
async def tokens() -> AsyncIterator[TokenEndpoint]:
    """A token endpoint."""
    async with TokenEndpoint() as endpoint:
        yield endpoint


async def refusal(settings: KafkaSettings) -> str:
    """Return the reason why Kafka can't be used, without what each begins with."""
    with pytest.raises(StartError) as raised:
        await check(settings)
    assert 3 == raised.value.exit_code
    head, _, reason = str(raised.value).partition(" can't be used: ")
    assert head == f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
    address, _, sentence = reason.partition(" ")
    assert address == settings.kafka_bootstrap_servers
    return sentence


@pytest.mark.parametrize("way", ["scram", "mtls"])
async def test_the_line_logs_in(settings: Settings, way: str) -> None:
    missing = await check(settings(way))
    assert 4 == len(missing), "the cluster is empty, and we are let in to see that"


async def test_the_line_logs_in_by_client_credentials(
    settings: Settings, tokens: TokenEndpoint
) -> None:
    with_scope = settings("oauth", kafka_oauth_token_url=tokens.origin, kafka_oauth_scope="kafka")
    assert 4 == len(await check(with_scope))
    assert b"grant_type=client_credentials&scope=kafka" == tokens.requests[0].body
    assert 1 == len(tokens.requests), "one token for all connections of a client"


WRONG_SCRAM = [
    ({"kafka_password": "wrong"}, "refuses KAFKA_USERNAME and KAFKA_PASSWORD"),
    ({"kafka_username": "nobody"}, "refuses KAFKA_USERNAME and KAFKA_PASSWORD"),
    ({"kafka_sasl_mechanism": "PLAIN"}, "has no KAFKA_SASL_MECHANISM=PLAIN: "),
    (
        {"kafka_security_protocol": "SASL_PLAINTEXT"},
        "speaks TLS on this port: KAFKA_SECURITY_PROTOCOL=SASL_SSL?",
    ),
    (
        {"kafka_security_protocol": "PLAINTEXT"},
        "speaks TLS on this port: KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL?",
    ),
    (
        {"kafka_security_protocol": "SSL"},
        "closes the connection: does it ask for KAFKA_SECURITY_PROTOCOL=SASL_SSL?",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG_SCRAM)
async def test_what_is_wrong_with_a_password_is_said(
    settings: Settings, changes: dict[str, object], sentence: str
) -> None:
    assert (await refusal(settings("scram", **changes))).startswith(sentence)


async def test_what_is_wrong_with_a_brokers_certificate_is_said(
    settings: Settings, tmp_path: Path, secure_kafka: SecureKafka
) -> None:
    foreign = await refusal(settings("scram", kafka_ca_file=Authority(tmp_path).file))
    assert "has a certificate by an authority that isn't in KAFKA_CA_FILE" == foreign


@pytest.mark.parametrize(
    ("hours", "ours", "sentence"),
    [
        (None, True, "asks for a client certificate: set KAFKA_CERT_FILE and KAFKA_KEY_FILE"),
        (-0.5, True, "refuses the certificate of KAFKA_CERT_FILE"),
        (1, False, "refuses the certificate of KAFKA_CERT_FILE"),
    ],
)
async def test_what_is_wrong_with_our_certificate_is_said(
    settings: Settings,
    secure_kafka: SecureKafka,
    tmp_path: Path,
    hours: float | None,
    ours: bool,
    sentence: str,
) -> None:
    file: Path | str = ""
    if hours is not None:
        authority = secure_kafka.authority if ours else Authority(tmp_path)
        file = tmp_path / "client.pem"
        file.write_bytes(authority.pair("admin", hours=hours))
    reason = await refusal(settings("mtls", kafka_cert_file=file))
    assert reason.startswith(sentence)


async def test_a_port_without_sasl_or_tls_is_named(settings: Settings, stack: LocalStack) -> None:
    mtls = settings("mtls")
    assert mtls.kafka_cert_file
    no_sasl = settings(
        "scram",
        kafka_bootstrap_servers=mtls.kafka_bootstrap_servers,
        kafka_cert_file=mtls.kafka_cert_file,
    )
    assert await refusal(no_sasl) == ("has no SASL on this port: KAFKA_SECURITY_PROTOCOL=SSL?")
    no_tls = settings("scram", kafka_bootstrap_servers=stack.kafka.bootstrap_servers)
    assert await refusal(no_tls) == (
        "speaks no TLS on this port: KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT?"
    )


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("localhost:1", "refuses connections: nothing listens there"),
        ("no-such-host.invalid:9092", "is no host that can be looked up"),
    ],
)
async def test_an_address_that_leads_nowhere_is_named(
    settings: Settings, address: str, sentence: str
) -> None:
    assert sentence == await refusal(settings("scram", kafka_bootstrap_servers=address))


async def test_what_is_wrong_with_a_token_is_said(
    settings: Settings, tokens: TokenEndpoint
) -> None:
    url = tokens.origin
    wrong = await refusal(
        settings("oauth", kafka_oauth_token_url=url, kafka_oauth_client_secret="wrong")  # noqa: S106
    )
    assert wrong == (
        f"can't be logged in to: KAFKA_OAUTH_TOKEN_URL={url} answers 401: are"
        " KAFKA_OAUTH_CLIENT_ID, KAFKA_OAUTH_CLIENT_SECRET and KAFKA_OAUTH_SCOPE right?"
    )
    away = await refusal(settings("oauth", kafka_oauth_token_url="http://localhost:1"))  # noqa: S106
    assert away.startswith("can't be logged in to: KAFKA_OAUTH_TOKEN_URL=http://localhost:1 gives")
    foreign = reply(200, b'{"access_token": "of another issuer", "expires_in": 60}')
    tokens.answers.extend([foreign] * 4)
    refused = await refusal(settings("oauth", kafka_oauth_token_url=url))
    assert "refuses the token of KAFKA_OAUTH_TOKEN_URL" == refused
