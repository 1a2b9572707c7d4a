"""Lifting a halt for dead letters in a row: a record on the control topic."""

from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.errors import StartError
from consumer.kafka.authorization import check_rights
from consumer.kafka.committed import read_committed_offset
from consumer.kafka.connection import connection_options
from consumer.kafka.rights import to_ask_group, to_write
from consumer.settings import KafkaSettings
from schemas.cloud_events import TOPIC_ID
from schemas.control import RESUME_KEY, Resume


async def resume(settings: KafkaSettings) -> int | None:
    """Ask the line to go on behind its last settled record, and give that record's offset.

    None: it hasn't halted for dead letters in a row, and nothing is written.

    Raises:
        StartError: Kafka can't be reached, or refuses us.
    """
    takes = (*to_ask_group(settings), *to_write(settings.control_topic))
    await check_rights(settings, takes)
    try:
        committed = await read_committed_offset(settings, TopicPartition(settings.jobs_topic, 0))
        after = committed.halted_after
        if after is not None:
            asked = Resume(after_offset=after, requested_at=datetime.now(UTC))
            options = connection_options(settings)
            async with AIOKafkaProducer(enable_idempotence=True, **options) as producer:
                await producer.send_and_wait(
                    settings.control_topic,
                    asked.write(),
                    key=RESUME_KEY,
                    partition=0,
                    # An offset of a topic that was made anew would mean other records.
                    headers=[(TOPIC_ID, committed.topic_id.encode())],
                )
    except (KafkaError, TimeoutError) as error:
        raise StartError(
            f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} can't be used:"
            f" {error or repr(error)}",
            exit_code=3,
        ) from error
    return after
