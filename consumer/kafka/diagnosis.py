"""Why Kafka can't be used: aiokafka only says that it is "unable to bootstrap"."""

import asyncio
import socket
import ssl
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from consumer.errors import StartError
from consumer.kafka.connection import connection_options
from consumer.kafka.oauth import TokenRefused
from consumer.settings import KafkaSettings

TRY_SECONDS = 10.0
_ALERT_SECONDS = 1.0
"""How long a broker that refuses our certificate may take to say so, after the handshake."""
_MOST_BROKERS = 3

_CERTIFICATE_REASONS = {
    7: "has a certificate by an authority that isn't in KAFKA_CA_FILE",
    10: "has a certificate that has expired",
    18: "has a certificate that it has signed itself, which KAFKA_CA_FILE doesn't have",
    19: "has a certificate by an authority that isn't in KAFKA_CA_FILE",
    20: "has a certificate by an authority that isn't in KAFKA_CA_FILE",
    62: "has a certificate for other names than this one",
    64: "has a certificate for other addresses than this one",
}
"""By OpenSSL's verify codes."""


async def unusable(settings: KafkaSettings, error: BaseException) -> StartError:
    """Give the error of a Kafka that can't be used, with the cause as far as it can be found."""
    reason = await _why_unusable(settings) or str(error) or repr(error)
    return StartError(
        f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} can't be used:"
        f" {reason}",
        exit_code=3,
    )


async def _why_unusable(settings: KafkaSettings) -> str | None:
    """Say in a sentence for each broker of `KAFKA_BOOTSTRAP_SERVERS` why we can't use it.

    None: at least one of them can be used.
    """
    options = connection_options(settings)
    brokers = [_address(broker) for broker in options.pop("bootstrap_servers").split(",")]
    reasons = await asyncio.gather(
        *(_reason(host, port, settings, options) for host, port in brokers[:_MOST_BROKERS])
    )
    found = [reason for reason in reasons if reason is not None]
    if len(found) < len(reasons):
        return None
    pairs = zip(brokers, found, strict=False)
    return "; ".join(f"{host}:{port} {reason}" for (host, port), reason in pairs)


def _address(broker: str) -> tuple[str, int]:
    host, _, port = broker.strip().rpartition(":")
    return host.strip("[]"), int(port)


async def _reason(
    host: str, port: int, settings: KafkaSettings, options: dict[str, Any]
) -> str | None:
    try:
        async with asyncio.timeout(TRY_SECONDS):
            if context := options.get("ssl_context"):
                await _hear_alert(host, port, context)
            await _log_in(host, port, options)
    except ssl.SSLCertVerificationError as error:
        return _CERTIFICATE_REASONS.get(
            error.verify_code, f"has a certificate that isn't valid: {error.verify_message}"
        )
    except ssl.SSLError as error:
        return _of_tls(error, settings)
    except TokenRefused as error:
        return f"can't be logged in to: {error.args[0]}"
    except UnsupportedSaslMechanismError as error:
        return f"has no KAFKA_SASL_MECHANISM={settings.kafka_sasl_mechanism}: {error}"
    except SaslAuthenticationFailed:
        return f"refuses {named_credentials(settings)}"
    except IllegalSaslStateError:
        return f"has no SASL on this port: KAFKA_SECURITY_PROTOCOL={_without_sasl(settings)}?"
    except (TimeoutError, KafkaError, OSError) as error:
        return await _of_connection(error, host, port, settings)
    return None


async def _log_in(host: str, port: int, options: dict[str, Any]) -> None:
    """Connect, log in and ask something, as every client does."""
    timeout = int(TRY_SECONDS * 1000)
    connection: AIOKafkaConnection = await create_conn(
        host, port, request_timeout_ms=timeout, **options
    )
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()


async def _hear_alert(host: str, port: int, context: ssl.SSLContext) -> None:
    """Shake hands by TLS and wait a moment: the broker judges our certificate after that."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        async with asyncio.timeout(_ALERT_SECONDS):
            await reader.read(1)
    except TimeoutError:
        pass  # it waits for our first request
    finally:
        writer.transport.abort()


def _of_tls(error: ssl.SSLError, settings: KafkaSettings) -> str:
    reason = error.reason or str(error)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        if settings.kafka_cert_file is None:
            return "asks for a client certificate: set KAFKA_CERT_FILE and KAFKA_KEY_FILE"
        return f"refuses the certificate of KAFKA_CERT_FILE ({reason.lower().replace('_', ' ')})"
    if "WRONG_VERSION" in reason or "RECORD_LAYER" in reason or "UNEXPECTED" in reason:
        return f"speaks no TLS on this port: KAFKA_SECURITY_PROTOCOL={_without_tls(settings)}?"
    return f"breaks off the TLS handshake: {reason.lower().replace('_', ' ')}"


async def _of_connection(
    error: BaseException, host: str, port: int, settings: KafkaSettings
) -> str:
    """Say why there is no connection, or why the broker has closed it."""
    if isinstance(error, socket.gaierror):
        return "is no host that can be looked up"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections: nothing listens there"
    protocol = settings.kafka_security_protocol
    if protocol.endswith("SSL"):
        if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
            return f"speaks no TLS on this port: KAFKA_SECURITY_PROTOCOL={_without_tls(settings)}?"
    elif await _speaks_tls(host, port):
        wanted = "SASL_SSL" if protocol.startswith("SASL") else "SSL or SASL_SSL"
        return f"speaks TLS on this port: KAFKA_SECURITY_PROTOCOL={wanted}?"
    if isinstance(error, KafkaConnectionError) and not protocol.startswith("SASL"):
        return f"closes the connection: does it ask for KAFKA_SECURITY_PROTOCOL=SASL_{protocol}?"
    if isinstance(error, TimeoutError):
        return f"gives no answer in {TRY_SECONDS:.0f} s"
    return f"gives no answer: {error or repr(error)}"


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_ALERT_SECONDS * 3):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (TimeoutError, OSError):
        return False
    writer.transport.abort()
    return True


def named_credentials(settings: KafkaSettings) -> str:
    """Name the settings by which we log in, as a sentence has them."""
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        return "the token of KAFKA_OAUTH_TOKEN_URL"
    return "KAFKA_USERNAME and KAFKA_PASSWORD"


def _without_tls(settings: KafkaSettings) -> str:
    return settings.kafka_security_protocol.replace("SSL", "PLAINTEXT")


def _without_sasl(settings: KafkaSettings) -> str:
    return settings.kafka_security_protocol.removeprefix("SASL_")
