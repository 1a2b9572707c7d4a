"""The local Kafka is a real one: it keeps data, runs transactions, and can be ill-treated."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from producer_tools.local import ports
from producer_tools.local.errors import PortTakenError
from producer_tools.local.kafka.broker import Kafka
from producer_tools.local.stack import LocalStack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    """A broker of this module's own, to be killed and paused without harm to others."""
    with Kafka() as kafka:
        yield kafka


async def make_topic(kafka: Kafka, name: str, **configs: str) -> None:
    """Make a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
    finally:
        await admin.close()


async def send(kafka: Kafka, topic: str, *values: bytes) -> None:
    """Write records, each acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def read(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    """Read the first `count` committed records of a topic."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, isolation_level="read_committed"
    ) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await consumer.getone()).value for _ in range(count)]


async def test_what_is_produced_is_consumed(stack: LocalStack, topic: str) -> None:
    """Records come back in order."""
    await send(stack.kafka, topic, b"one", b"two")
    assert await read(stack.kafka, topic, 2) == [b"one", b"two"]


async def test_a_client_that_came_by_a_proxy_goes_on_by_it() -> None:
    """A client that came past the proxy goes on past it."""
    proxy = ports.choose("a proxy", setting="")
    with Kafka(proxy_port=proxy) as kafka:
        for port, advertised in ((kafka.proxied_port, proxy), (kafka.port, kafka.port)):
            client = AIOKafkaClient(bootstrap_servers=f"{ports.HOST}:{port}")
            await client.bootstrap()
            assert [broker.port for broker in client.cluster.brokers()] == [advertised]
            await client.close()


async def test_readers_of_committed_records_see_no_aborted_ones(
    stack: LocalStack, topic: str
) -> None:
    """Transactions are real."""
    async with AIOKafkaProducer(
        bootstrap_servers=stack.kafka.bootstrap_servers, transactional_id=f"{topic}-writer"
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
    assert await read(stack.kafka, topic, 1) == [b"committed"]


async def test_compacted_topics_can_be_made(stack: LocalStack, topic: str) -> None:
    """The control topic's clean-up policy is taken."""
    await make_topic(stack.kafka, f"{topic}.compacted", **{"cleanup.policy": "compact,delete"})
    await send(stack.kafka, topic, b"the broker still writes")


async def test_topics_are_never_made_unasked(stack: LocalStack, admin: AIOKafkaAdminClient) -> None:
    """A forgotten topic shows as an error, as in production."""
    [described] = await admin.describe_topics(["a.topic.that.was.never.made"])
    assert described["error_code"] == 3  # UNKNOWN_TOPIC_OR_PARTITION
    assert "a.topic.that.was.never.made" not in await admin.list_topics()


@pytest.mark.parametrize("ending", ["cleanly", "by SIGKILL"])
async def test_a_restart_keeps_address_and_data(own_kafka: Kafka, ending: str) -> None:
    """Clients find the same records at the same address."""
    topic = ending.replace(" ", ".")
    await make_topic(own_kafka, topic)
    await send(own_kafka, topic, b"before")
    address = own_kafka.bootstrap_servers
    if ending == "by SIGKILL":
        own_kafka.kill()
    await asyncio.to_thread(own_kafka.restart)
    await send(own_kafka, topic, b"after")
    assert await read(own_kafka, topic, 2) == [b"before", b"after"]
    assert own_kafka.bootstrap_servers == address


async def test_a_paused_broker_answers_once_it_goes_on(own_kafka: Kafka) -> None:
    """SIGSTOP holds an acknowledgement back, SIGCONT brings it."""
    await make_topic(own_kafka, "paused")
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap_servers) as producer:
        await producer.send_and_wait("paused", b"warm")
        own_kafka.pause()
        try:
            delivery = await producer.send("paused", b"late")
            _, waiting = await asyncio.wait([delivery], timeout=0.5)
            assert waiting == {delivery}
        finally:
            own_kafka.resume()
        assert (await delivery).offset == 1


def test_a_taken_port_is_named_with_its_setting() -> None:
    """The message names the port and what to set."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"Kafka: port {port} .*Kafka\(port=…\)"):
            Kafka(port=port).launch()
