"""From the settings to the keyword arguments that every aiokafka client takes."""

import asyncio
from typing import Any

from aiokafka import client
from pydantic import SecretStr

from consumer.kafka.oauth import ClientCredentials, TokenProvider, replace_credentials
from consumer.kafka.session import SessionConnection, end_sessions
from consumer.kafka.tls import TlsFiles, current, tls_context
from consumer.settings import KafkaSettings

CONNECT_SECONDS = 5.0
"""For a connection to one broker, with its first question and the login."""

Password = tuple[str | None, str | None]
"""A user and a password."""
_replaced: dict[Password, Password] = {}
"""Passwords that others have taken the place of."""


async def connect(*address: Any, **options: Any) -> SessionConnection:
    """Connect as aiokafka does, within `CONNECT_SECONDS`, and no longer than the session lasts.

    aiokafka waits as long as for any request, 40 s, and connects to one broker at a time. So one
    that is frozen, or cut off without a word, kept a client from the others until its start was
    given up; and then the next client asked it first.

    Certificates and passwords that were replaced since the client was made count.

    Raises:
        TimeoutError: the broker doesn't answer in time.
    """
    user, password = _latest(
        (options.get("sasl_plain_username"), options.get("sasl_plain_password"))
    )
    options |= {
        "sasl_plain_username": user,
        "sasl_plain_password": password,
        "ssl_context": current(options.get("ssl_context")),
    }
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
        arguments["ssl_context"] = tls_context(TlsFiles.of(settings))
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= _sasl(settings)
    return arguments


def replace_login(old: KafkaSettings, new: KafkaSettings) -> None:
    """Log in by the new settings from now on, also where a client was made by the old ones.

    Connections end between two requests, and are made anew: nothing is broken off.
    """
    if _password(old) != _password(new):
        _replaced.pop(_password(new), None)
        _replaced[_password(old)] = _password(new)
    if (credentials := _credentials(new)) != _credentials(old):
        replace_credentials(_credentials(old), credentials)
    end_sessions()


def _latest(password: Password) -> Password:
    while password in _replaced:
        password = _replaced[password]
    return password


def _password(settings: KafkaSettings) -> Password:
    return _revealed(settings.kafka_username), _revealed(settings.kafka_password)


def _credentials(settings: KafkaSettings) -> ClientCredentials:
    return ClientCredentials(
        url=settings.kafka_oauth_token_url or "",
        client_id=settings.kafka_oauth_client_id or "",
        client_secret=_revealed(settings.kafka_oauth_client_secret),
        scope=settings.kafka_oauth_scope,
    )


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    """Give what logs in; the settings have all that the mechanism needs."""
    mechanism = settings.kafka_sasl_mechanism
    if mechanism == "OAUTHBEARER":
        return {
            "sasl_mechanism": mechanism,
            "sasl_oauth_token_provider": TokenProvider(_credentials(settings)),
        }
    user, password = _password(settings)
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def _revealed(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
