"""From the settings to the keyword arguments that every aiokafka client takes."""

import asyncio
import ssl
from typing import Any

from aiokafka import client
from pydantic import SecretStr

from consumer.errors import StartError
from consumer.kafka.oauth import ClientCredentials, TokenProvider
from consumer.kafka.session import SessionConnection
from consumer.settings import KafkaSettings

CONNECT_SECONDS = 5.0
"""For a connection to one broker, with its first question and the login."""


async def connect(*address: Any, **options: Any) -> SessionConnection:
    """Connect as aiokafka does, within `CONNECT_SECONDS`, and no longer than the session lasts.

    aiokafka waits as long as for any request, 40 s, and connects to one broker at a time. So one
    that is frozen, or cut off without a word, kept a client from the others until its start was
    given up; and then the next client asked it first.

    Raises:
        TimeoutError: the broker doesn't answer in time.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = SessionConnection(*address, **options)
        await connection.connect()
        return connection


client.create_conn = connect


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Give the keyword arguments that every aiokafka client takes.

    Raises:
        StartError: a certificate file can't be used.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        arguments["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= _sasl(settings)
    return arguments


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    """Give what logs in; the settings have all that the mechanism needs."""
    mechanism = settings.kafka_sasl_mechanism
    if mechanism == "OAUTHBEARER":
        credentials = ClientCredentials(
            url=settings.kafka_oauth_token_url or "",
            client_id=settings.kafka_oauth_client_id or "",
            client_secret=_revealed(settings.kafka_oauth_client_secret),
            scope=settings.kafka_oauth_scope,
        )
        return {
            "sasl_mechanism": mechanism,
            "sasl_oauth_token_provider": TokenProvider(credentials),
        }
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": _revealed(settings.kafka_username),
        "sasl_plain_password": _revealed(settings.kafka_password),
    }


def _revealed(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file:
            # Without a passphrase of ours, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(
                settings.kafka_cert_file, settings.kafka_key_file, password=lambda: ""
            )
    except OSError as error:
        raise StartError(
            f"KAFKA_CA_FILE, KAFKA_CERT_FILE or KAFKA_KEY_FILE can't be used: {error}",
            exit_code=2,
        ) from error
    return context
