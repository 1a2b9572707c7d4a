"""`maskline doctor` names the settings by which this line logs in, and no others."""

import socket

import pytest

from consumer.settings import KafkaSettings, load
from producer_tools.doctor.kafka import look_at_kafka
from tests.support.raw_server import RawServer

pytestmark = pytest.mark.integration

OAUTH = {
    "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_OAUTH_CLIENT_ID": "c",
    "KAFKA_OAUTH_CLIENT_SECRET": "of this test alone",
}
PASSWORD = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_USERNAME": "u",
    "KAFKA_PASSWORD": "of this test alone",
}
TOKEN, USER = "KAFKA_OAUTH_TOKEN_URL", "KAFKA_USERNAME"


@pytest.mark.parametrize(
    ("given", "named", "other"), [(OAUTH, TOKEN, USER), (PASSWORD, USER, TOKEN)]
)
async def test_a_broker_that_does_not_let_us_in(
    given: dict[str, str], named: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(hang_up) as broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{broker.port}")
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        if given is OAUTH:
            monkeypatch.setenv("KAFKA_OAUTH_TOKEN_URL", f"{broker.origin}/token")
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        findings = [finding async for finding in look_at_kafka(load(KafkaSettings))]
    refused = findings[-1]
    assert (refused.check, refused.state) == ("kafka", "wrong")
    assert named in (refused.do or "")
    assert other not in (refused.do or "")


def hang_up(line: socket.socket, _: RawServer) -> None:
    """Take the connection, and close it."""
    line.recv(1)
