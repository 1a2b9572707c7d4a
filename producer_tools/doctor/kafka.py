"""Kafka: reached, with the line's topics, the rights that it needs, and somebody who serves it."""

import asyncio
import ssl
from collections.abc import AsyncIterator

from consumer.errors import StartError
from consumer.kafka import topics
from consumer.kafka.authorization import ask_rights
from consumer.kafka.connection import connection_options
from consumer.kafka.diagnosis import named_credentials
from consumer.kafka.rights import principal, rights_of
from consumer.settings import KafkaSettings
from producer_tools.client.line import group_members, halted_behind
from producer_tools.doctor.certificates import certificate
from producer_tools.doctor.finding import Exit, Finding, good, warn, wrong
from producer_tools.doctor.peer import NoAnswer, Peer, connect
from producer_tools.errors import ServiceError

REACH_SECONDS = 20.0


async def look_at_kafka(settings: KafkaSettings) -> AsyncIterator[Finding]:
    """Look at the brokers, then at what is on them."""
    try:
        tls = connection_options(settings).get("ssl_context")
    except StartError as error:
        yield wrong("kafka", str(error), "mend the files", exit_code=Exit.SETTINGS)
        return
    brokers = [broker async for broker in _look_at_brokers(settings, tls)]
    for broker in brokers:
        yield broker
    try:
        async with asyncio.timeout(REACH_SECONDS):
            differences = await topics.check(settings)
    except (StartError, TimeoutError) as error:
        if not any(broker.state == "wrong" for broker in brokers):
            yield _refused(settings, error)
        return
    for difference in differences:
        say = wrong if difference.fatal else warn
        yield say("topics", f"{difference.topic} {difference.detail}", topics.HOW_TO_MEND)
    if not differences:
        yield good("topics", "all four are there, as they should be")
    async for finding in _look_at_rights(settings):
        yield finding
    yield await _look_at_line(settings)


async def _look_at_brokers(
    settings: KafkaSettings, tls: ssl.SSLContext | None
) -> AsyncIterator[Finding]:
    for address in settings.kafka_bootstrap_servers.split(","):
        host, _, port = address.rpartition(":") if ":" in address else (address, "", "9092")
        try:
            peer: Peer = await connect(host.strip("[]"), int(port), tls=tls)
        except NoAnswer as error:
            yield wrong(
                "kafka",
                f"{address}: {error}",
                "check KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL and KAFKA_CA_FILE, and"
                " what lies between",
            )
            continue
        yield good("kafka", f"{address} answers{' with TLS' if tls else ''}")
        if (found := certificate(f"the certificate of {address}", peer.expires)) is not None:
            yield found


def _refused(settings: KafkaSettings, error: BaseException) -> Finding:
    reason = str(error) or f"no answer within {REACH_SECONDS:g} s"
    sasl = settings.kafka_security_protocol.startswith("SASL")
    names = f"KAFKA_SASL_MECHANISM, {named_credentials(settings)}" if sasl else "KAFKA_CERT_FILE"
    return wrong(
        "kafka",
        f"the brokers take the connection and don't serve us: {reason}",
        f"check {names}, KAFKA_SECURITY_PROTOCOL, and the addresses that the brokers advertise",
    )


async def _look_at_rights(settings: KafkaSettings) -> AsyncIterator[Finding]:
    try:
        missing = await ask_rights(settings, rights_of("consumer", settings))
    except StartError as error:
        yield warn("rights", str(error), topics.HOW_TO_MEND)
        return
    for right in missing:
        say = wrong if right.needed else warn
        yield say(
            "rights",
            f"no {right.operation} on {right.resource}",
            right.command(principal=principal(settings), servers=settings.kafka_bootstrap_servers),
        )
    if not missing:
        yield good("rights", "all that a consumer needs")


async def _look_at_line(settings: KafkaSettings) -> Finding:
    """Say whether somebody serves the line, and whether it has halted."""
    try:
        members, halted_after = await group_members(settings), await halted_behind(settings)
    except ServiceError as error:
        return warn("line", f"its group can't be asked: {error}", "see rights")
    group = f"group {settings.consumer_group}"
    if halted_after is not None:
        return warn(
            "line",
            f"{group} has halted behind offset {halted_after}",
            "see what the dead letters' mask-error-code names, mend it, then `maskline resume`",
        )
    if members == 0:
        return warn("line", f"{group} has no member: nobody serves it", "start `maskline consume`")
    return good("line", f"{group} has {members} {'member' if members == 1 else 'members'}")
