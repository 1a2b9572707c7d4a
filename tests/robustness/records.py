"""Records of every kind, drawn at random: `python -m tests.robustness.records [--records N]`.

Keys, values, headers, compressions and sizes up to what the topic takes, good jobs among them, go
through a real consumer with the trivial model. Printed are the numbers of records and of each end,
the peak memory and the time; the seed makes the same records again. It fails where a record hasn't
exactly one terminal event, in offset order, or where the line had to begin anew.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from producer_tools.local.stack import LocalStack
from tests.benchmarks.lines import make_line, running, upload
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames
from tests.support.models import write_trivial_body_model
from tests.support.photos import saved, stripes
from tests.support.raw_batches import (
    CODECS,
    Headers,
    Latin,
    Plain,
    batch_of,
    deliver_batch,
    repacked,
    wide_window,
    with_offset,
)
from tests.support.topics import TERMINAL_STATES, read_topic

TOPIC_TAKES = 1_048_588
MOST_MEMORY = 1024**3
ODD_SHARE = 0.03


def batches(count: int, seed: int, image: str) -> Iterator[bytes]:
    """Draw batches of so many records in all."""
    draw, drawn = random.Random(seed), 0
    while drawn < count:
        size = min(count - drawn, draw.choice((1, 1, 2, 5, 20, 60)))
        batch = odd_batch(draw, size) if draw.random() < ODD_SHARE else None
        if batch is None:
            records = [record(draw, drawn + number, image) for number in range(size)]
            batch = batch_of(records, draw.choice(sorted(CODECS)))
        if len(batch) > TOPIC_TAKES:
            continue
        drawn += int.from_bytes(batch[57:61], "big")
        yield batch


def odd_batch(draw: random.Random, size: int) -> bytes:
    """A batch whose whole is odd."""
    plain = batch_of([(b"k", b"v", ())] * size)
    kind = draw.randrange(4)
    if kind == 0:
        return repacked(plain, "zstd", wide_window)
    if kind == 1:
        return with_offset(plain, draw.choice((-1, 1, 7, 1_000_000)))
    large = bytes(draw.randrange(16, 64) * 1024 * 1024)
    around: list[Plain] = [(b"k", b"{", ())] * (size - 1)
    at = draw.randrange(size)
    return batch_of([*around[:at], (b"k", large, ()), *around[at:]], draw.choice(("zstd", "lz4")))


def record(draw: random.Random, number: int, image: str) -> Plain:
    """A record: a good job in one of four."""
    if draw.random() < 0.25:
        job: dict[str, Any] = {"job_id": f"job-{number}", "user_id": "u", "image": image}
        if draw.random() < 0.1:
            job["metadata"] = {"x": "y" * draw.randrange(200_000)}
        return draw_bytes(draw), json.dumps(job).encode(), headers(draw)
    return draw_bytes(draw), value(draw, number), headers(draw)


def value(draw: random.Random, number: int) -> bytes | None:
    """Hardly ever a job."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw_bytes(draw)
    if kind == 1:
        return draw.choice((b"[" * 300, b"[]", b"{}", b'{"a":1e999}', b'{"job_id":"\\ud800"}'))
    job: dict[str, Any] = {
        "job_id": draw.choice(("a", "a b", "", "x" * 200, None, 1)),
        "user_id": draw.choice(("u", "", 5, "ü" * 256)),
        "image": draw.choice(("s3://b/k", "s3://none/none", "file:///x", "", None)),
        "model": draw.choice((None, "nonesuch", "")),
        "outputs": draw.choice((None, [], ["cutout"], ["cutout", "cutout"])),
        "callback_url": draw.choice((None, "http://[", "http://example.com/x")),
        f"field-{number}": draw.choice((None, [[]] * 50, "x" * 5000)),
    }
    text = json.dumps(job, ensure_ascii=draw.random() < 0.5).encode()
    if kind == 2:
        at = draw.randrange(len(text))
        return text[:at] + draw.randbytes(3) + text[at:]
    return text


def draw_bytes(draw: random.Random) -> bytes | None:
    """Mostly short."""
    chance = draw.random()
    if chance < 0.1:
        return None
    if chance < 0.95:
        return draw.randbytes(draw.choice((0, 1, 8, 36, 300)))
    return draw.randbytes(64) * draw.choice((100, 5_000, 20_000))


def headers(draw: random.Random) -> Headers:
    """None, some, and odd ones."""
    if draw.random() < 0.6:
        return ()
    names = ("traceparent", "", "ü", "mask-error-code", "__connect.errors.topic", "x" * 300)
    found = [
        (draw.choice(names), draw.choice((None, b"", draw.randbytes(20))))
        for _ in range(draw.choice((1, 3, 30)))
    ]
    if draw.random() < 0.05:
        found.append((Latin("size"), b"1"))
    return found


async def send(servers: str, topic: str, drawn: Iterator[bytes]) -> int:
    """Send the batches; give how many records the broker took."""
    taken, refused = 0, Counter[str]()
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_request_size=1 << 30)
    async with producer:
        for batch in drawn:
            try:
                await (await deliver_batch(producer, topic, batch))
                taken += int.from_bytes(batch[57:61], "big")
            except KafkaError as error:
                refused[type(error).__name__] += 1
    if refused:
        print(f"refused by the broker: {dict(refused)} batches")
    return taken


async def judge(servers: str, line: LineNames, taken: int) -> list[str]:
    """Say what contradicts the promise."""
    events = [record.json() for record in await read_topic(servers, line.status)]
    ended = [event for event in events if event.get("state") in TERMINAL_STATES]
    print(Counter(event["error"]["code"] if event["error"] else "" for event in ended))
    offsets = [event["source"]["offset"] for event in ended]
    if offsets == list(range(taken)):
        return []
    counts = Counter(offsets)
    missing = [offset for offset in range(taken) if not counts[offset]][:5]
    double = [offset for offset, count in counts.items() if count > 1][:5]
    return [f"of {taken} records {missing} have no end, {double} several, or not in order"]


def peak_bytes(consumer: ConsumerProcess) -> int:
    """The most memory that the process has had."""
    status = Path(f"/proc/{consumer._program.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def run(records: int, seed: int) -> list[str]:
    """Send, have all settled, and give what is wrong."""
    with LocalStack() as stack, tempfile.TemporaryDirectory() as folder:
        write_trivial_body_model(Path(folder))
        servers, line = stack.kafka.bootstrap_servers, await make_line(stack)
        (image,) = upload(stack, [saved(stripes())])
        taken = await send(servers, line.jobs, batches(records, seed, image))
        begin = time.monotonic()
        settings = {
            "MODEL_FOLDER": folder,
            "QWEN_MODEL_PATH": "trivial.onnx",
            "DEAD_LETTER_LIMIT": "0",
            "LOG_LEVEL": "WARNING",
        }
        with running(stack, line, **settings) as consumer:
            await consumer.until_answered(
                "/stats", lambda _, stats: stats.get("position") == taken, seconds=3600
            )
            seconds, peak = time.monotonic() - begin, peak_bytes(consumer)
            lost = len(consumer.entries("lane.lost"))
        wrong = await judge(servers, line, taken)
    print(f"seed {seed}: {taken} records in {seconds:.0f} s, at most {peak / 2**20:.0f} MiB")
    wrong += [f"the line began anew {lost} times"] * bool(lost)
    return wrong + [f"it took {peak} bytes of memory"] * (peak > MOST_MEMORY)


def main() -> int:
    """Run; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    wrong = asyncio.run(run(given.records, given.seed))
    for one in wrong:
        print(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
