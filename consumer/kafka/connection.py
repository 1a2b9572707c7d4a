"""From the settings to the keyword arguments that every aiokafka client takes."""

import asyncio
import ssl
from typing import Any

from aiokafka import client
from aiokafka.conn import AIOKafkaConnection, create_conn

from consumer.errors import StartError
from consumer.settings import KafkaSettings

CONNECT_SECONDS = 5.0
"""For a connection to one broker, with its first question and the login."""


async def connect(*address: Any, **options: Any) -> AIOKafkaConnection:
    """Connect as aiokafka does, within `CONNECT_SECONDS`.

    aiokafka waits as long as for any request, 40 s, and connects to one broker at a time. So one
    that is frozen, or cut off without a word, kept a client from the others until its start was
    given up; and then the next client asked it first.

    Raises:
        TimeoutError: the broker doesn't answer in time.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        return await create_conn(*address, **options)


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
    if settings.kafka_username and settings.kafka_password:
        arguments["sasl_mechanism"] = settings.kafka_sasl_mechanism
        arguments["sasl_plain_username"] = settings.kafka_username.get_secret_value()
        arguments["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return arguments


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
