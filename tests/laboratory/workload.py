"""A seeded workload: job records, good ones and ones poisoned in every way, and how each must end.

The same seed gives the same records, byte for byte.
"""

import io
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from PIL import Image

from tests.laboratory.evidence import Foreseen
from tests.support.raw_batches import Latin, batch_of, deliver_batch, repacked, wide_window
from tests.support.topics import Header

BUCKET = "faults"
REJECTED = "rejected-"
"""Jobs whose id begins like this are answered 422 by the mask-asset service."""
LOWER_ONLY = "lower-only"
"""A model that can't give everything."""
TOPIC_TAKES = 1_048_588
"""A batch's bytes, of a topic and a broker that say nothing else."""
BATCH_HEAD = 61
BOMB_BYTES = 17 * 1024 * 1024
"""More than the consumer takes of one record."""
_SEND_AT_ONCE = 500
_COMPLETED = Foreseen("completed")


@dataclass(frozen=True, slots=True)
class Planned:
    """A record to submit, and how it must end."""

    kind: str
    key: bytes | None
    value: bytes | None
    foreseen: Foreseen
    headers: tuple[Header, ...] = ()
    batch: bytes | None = None
    """Sent as it is, in place of key, value and headers, which are what can be read of it."""
    rest: "tuple[Planned, ...]" = ()
    """The batch's further records."""
    aborted: bool = False
    """Whether it is sent in a transaction that is aborted: then no subscriber may ever see it."""


def objects() -> dict[str, bytes]:
    """What the bucket holds: photos, and what only looks like photos."""
    photos = {f"photo-{side}.png": _photo(side, "PNG") for side in (16, 48, 96)}
    photos["photo.jpg"] = _photo(64, "JPEG")
    whole = _photo(64, "PNG")
    return {
        **photos,
        "page.jpg": b"<!DOCTYPE html><html><body>404: no such photo</body></html>",
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": photos["photo.jpg"][:200],
    }


def plan(
    seed: int, *, records: int, poisoned: int, poisons: "Sequence[Make] | None" = None
) -> list[Planned]:
    """Give `records` records, `poisoned` of them bad in turn in every way, shuffled."""
    draw, bad = random.Random(seed), poisons or POISONS
    kinds = [bad[number % len(bad)] for number in range(poisoned)]
    kinds += [GOOD[draw.randrange(len(GOOD))] for _ in range(records - poisoned)]
    draw.shuffle(kinds)
    return [make(number, draw) for number, make in enumerate(kinds)]


def aborted(planned: list[Planned], every: int) -> list[Planned]:
    """Put in a record after each `every` records: sent in a transaction that is aborted."""
    mixed: list[Planned] = []
    for number, one in enumerate(planned, 1):
        mixed.append(one)
        if number % every == 0:
            # A batch that is sent as it is would be no part of the transaction.
            plain = image_job(f"aborted-{number}", _COMPLETED) if one.batch else one
            mixed.append(replace(plain, kind="aborted", aborted=True))
    return mixed


async def submit(
    bootstrap: str, topic: str, planned: Iterable[Planned]
) -> tuple[dict[int, Foreseen], list[int]]:
    """Send all, in order; give how each offset's record must end, and the aborted offsets."""
    foreseen: dict[int, Foreseen] = {}
    aborted_offsets: list[int] = []
    connection = {"bootstrap_servers": bootstrap, "max_request_size": 2 * TOPIC_TAKES}
    plain = AIOKafkaProducer(**connection)
    aborting = AIOKafkaProducer(**connection, transactional_id=f"{topic}-aborted_offsets")
    async with plain, aborting:
        run: list[Planned] = []
        for one in planned:
            if one.aborted:
                foreseen |= await _send(plain, topic, run)
                run = []
                aborted_offsets.append(await _send_aborted(aborting, topic, one))
            else:
                run.append(one)
        foreseen |= await _send(plain, topic, run)
    return foreseen, aborted_offsets


async def _send(
    producer: AIOKafkaProducer, topic: str, planned: list[Planned]
) -> dict[int, Foreseen]:
    foreseen: dict[int, Foreseen] = {}
    for begin in range(0, len(planned), _SEND_AT_ONCE):
        deliveries = [
            (one, await _deliver(producer, topic, one))
            for one in planned[begin : begin + _SEND_AT_ONCE]
        ]
        for one, delivery in deliveries:
            first = (await delivery).offset
            for offset, each in enumerate((one, *one.rest), first):
                foreseen[offset] = each.foreseen
    return foreseen


async def _send_aborted(producer: AIOKafkaProducer, topic: str, one: Planned) -> int:
    await producer.begin_transaction()
    offset: int = (await (await _deliver(producer, topic, one))).offset
    await producer.abort_transaction()
    return offset


async def _deliver(producer: AIOKafkaProducer, topic: str, one: Planned) -> Any:
    """Send by way of a batch of its own where `send` would refuse: neither key nor value."""
    if one.batch is not None:
        await producer.flush()
        return await deliver_batch(producer, topic, one.batch)
    if one.key is not None or one.value is not None:
        return await producer.send(
            topic, one.value, key=one.key, headers=list(one.headers), partition=0
        )
    await producer.flush()  # what came before must stay before
    batch = producer.create_batch()
    batch.append(key=None, value=None, timestamp=None, headers=list(one.headers))
    return await producer.send_batch(batch, topic, partition=0)


async def topic_takes(bootstrap: str, topic: str, record: Planned) -> bool:
    """Whether the topic takes the record; if it does, the record is in it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2 * TOPIC_TAKES)
    async with producer:
        try:
            delivery = await producer.send(
                topic, record.value, key=record.key, headers=list(record.headers), partition=0
            )
            await delivery
        except MessageSizeTooLargeError:
            return False
        else:
            return True


def _photo(side: int, form: str) -> bytes:
    """A photo whose left half is red and right half blue: both masks of `trivial` have pixels."""
    picture = Image.new("RGB", (side, side), (255, 0, 0))
    picture.paste((0, 0, 255), (side // 2, 0, side, side))
    file = io.BytesIO()
    picture.save(file, form)
    return file.getvalue()


Make = Callable[[int, random.Random], Planned]


def _record(
    kind: str,
    number: int,
    foreseen: Foreseen,
    *,
    headers: tuple[Header, ...] = (),
    job_id: str | None = None,
    **fields: object,
) -> Planned:
    job_id = job_id or f"{kind}-{number}"
    job = {"job_id": job_id, "user_id": f"user-{number % 7}", **fields}
    return Planned(kind, job_id.encode(), json.dumps(job).encode(), foreseen, headers)


def _image(draw: random.Random) -> str:
    name = draw.choice(("photo-16.png", "photo-48.png", "photo-96.png", "photo.jpg"))
    return f"{draw.choice(('s3', 'minio'))}://{BUCKET}/{name}"


def _failed(code: str) -> Foreseen:
    return Foreseen("failed", code)


def image_job(
    job_id: str,
    how: Foreseen,
    *,
    image: str = "photo.jpg",
    outputs: Sequence[str] | None = None,
) -> Planned:
    """A job of this id, with a photo of the bucket."""
    image = f"s3://{BUCKET}/{image}"
    return _record("named", 0, how, job_id=job_id, image=image, outputs=outputs)


def good(number: int, draw: random.Random) -> Planned:
    """A plain job."""
    return _record("good", number, _COMPLETED, image=_image(draw))


def good_with_all(number: int, draw: random.Random) -> Planned:
    """A job with every field that a job can have, and one more."""
    return _record(
        "full",
        number,
        _COMPLETED,
        image=_image(draw),
        provider="another",
        model="trivial",
        outputs=["upper_body_mask", "seg_map"],
        batch={"batch_id": f"b-{number}", "index": 0, "size": 1},
        metadata={"station": str(number)},
        unheard_of=[None],
    )


def good_with_headers(number: int, draw: random.Random) -> Planned:
    """A job with a trace, and with headers that no library would send."""
    trace = f"00-{draw.getrandbits(128) | 1:032x}-{draw.getrandbits(64) | 1:016x}-01"
    odd: tuple[Header, ...] = (
        ("traceparent", trace.encode()),
        ("twice", b"1"),
        ("twice", b"2"),
        ("null", None),
        ("", b"no name"),
        ("binary", bytes(range(256))),
        ("mask-error-code", b"from an earlier life"),
        ("__connect.errors.offset", b"-1"),
    )
    return _record("traced", number, _COMPLETED, headers=odd, image=_image(draw))


def good_again(number: int, draw: random.Random) -> Planned:
    """A job whose id other records bear too: each is a job of its own."""
    return _record("again", number, _COMPLETED, job_id="again-and-again", image=_image(draw))


def good_without_key(number: int, draw: random.Random) -> Planned:
    """A job whose record has no key."""
    return replace(_record("keyless", number, _COMPLETED, image=_image(draw)), key=None)


def bad_json(number: int, draw: random.Random) -> Planned:
    """Not JSON, or not even UTF-8."""
    value = draw.choice((b'{"job_id": ', b"\xff\xfe\x00garbage", b"", b"\x00" * 64))
    return Planned("bad-json", b"bad-%d" % number, value, _failed("invalid_message"))


def wrong_schema(number: int, draw: random.Random) -> Planned:
    """JSON, and not a job."""
    value = draw.choice(
        (
            b"[]",
            b"null",
            b'"job"',
            b'{"user_id": "u", "image": "s3://b/k"}',
            b'{"job_id": "a b", "user_id": "u", "image": "s3://b/k"}',
            b'{"job_id": "a", "user_id": "u", "image": "file:///etc/passwd"}',
        )
    )
    return Planned("wrong-schema", b"wrong-%d" % number, value, _failed("invalid_message"))


def tombstone(number: int, draw: random.Random) -> Planned:
    """A record with a key and no value."""
    del draw
    return Planned("tombstone", b"tombstone-%d" % number, None, _failed("invalid_message"))


def nothing_at_all(number: int, draw: random.Random) -> Planned:
    """A record with neither key nor value, with or without headers."""
    headers: tuple[Header, ...] = (("n", b"%d" % number),) if draw.random() < 0.5 else ()
    return Planned("nothing", None, None, _failed("invalid_message"), headers)


def not_an_image(number: int, draw: random.Random) -> Planned:
    """A page where a photo should be."""
    del draw
    image = f"s3://{BUCKET}/page.jpg"
    return _record("page", number, _failed("unsupported_format"), image=image)


def truncated_image(number: int, draw: random.Random) -> Planned:
    """Half a photo."""
    image = f"s3://{BUCKET}/{draw.choice(('cut.png', 'cut.jpg'))}"
    return _record("cut", number, _failed("invalid_image"), image=image)


def missing_object(number: int, draw: random.Random) -> Planned:
    """A photo that isn't there."""
    del draw
    image = f"s3://{BUCKET}/nowhere-{number}.png"
    return _record("no-object", number, _failed("image_not_found"), image=image)


def missing_bucket(number: int, draw: random.Random) -> Planned:
    """A photo in a bucket that isn't there."""
    del draw
    image = f"s3://no-such-bucket-{number}/a.png"
    return _record("no-bucket", number, _failed("image_not_found"), image=image)


def rejected(number: int, draw: random.Random) -> Planned:
    """A job that the mask-asset service answers with 422."""
    job_id = f"{REJECTED}{number}"
    how = _failed("callback_rejected")
    return _record("rejected", number, how, job_id=job_id, image=_image(draw))


def unsupported_output(number: int, draw: random.Random) -> Planned:
    """An output that the model can't give."""
    how = _failed("unsupported_output")
    outputs = ["lower_body_mask", "upper_body_mask"]
    image = _image(draw)
    return _record("output", number, how, image=image, model=LOWER_ONLY, outputs=outputs)


def unknown_model(number: int, draw: random.Random) -> Planned:
    """A model that isn't in the catalog."""
    how = _failed("unknown_model")
    return _record("model", number, how, image=_image(draw), model="no-such-model")


def forbidden_callback(number: int, draw: random.Random) -> Planned:
    """A callback_url that may not be called."""
    how = _failed("callback_forbidden")
    url = "http://169.254.169.254/latest/meta-data"
    return _record("forbidden", number, how, image=_image(draw), callback_url=url)


def largest(number: int, draw: random.Random, *, over: int = 0) -> Planned:
    """A record of the largest size that the topic takes, give or take `over` bytes."""
    headers: tuple[Header, ...] = ()
    if draw.random() < 0.5:
        headers = (("long", b"h" * 100_000), ("long", None))
    short = Planned("largest", b"largest-%d" % number, b"", _failed("invalid_message"), headers)
    size = TOPIC_TAKES - BATCH_HEAD - _overhead(short) + over
    return replace(short, value=b"[" + b"x" * (size - 1))


def odd_header(number: int, draw: random.Random) -> Planned:
    """A job with a header whose name is no UTF-8."""
    whole = _record("odd-header", number, _failed("invalid_message"), image=_image(draw))
    batch = batch_of([(whole.key, whole.value, [(Latin("size"), b"1")])], timestamp_ms=0)
    return replace(whole, batch=batch)


def bomb(number: int, draw: random.Random) -> Planned:
    """A few kilobytes that unpack to more than a record may have."""
    key, size = b"bomb-%d" % number, BOMB_BYTES + draw.randrange(BOMB_BYTES)
    batch = batch_of([(key, bytes(size), ())], draw.choice(("lz4", "zstd")), timestamp_ms=0)
    return Planned("bomb", key, None, _failed("invalid_message"), batch=batch)


def bomb_between(number: int, draw: random.Random) -> Planned:
    """A bomb between two good jobs of one batch."""
    before, after = (
        _record("neighbour", 10 * number + place, _COMPLETED, image=_image(draw))
        for place in (0, 1)
    )
    middle = Planned("bomb-between", b"bomb", None, _failed("invalid_message"))
    values = (before.value, bytes(BOMB_BYTES), after.value)
    keys = (before.key, middle.key, after.key)
    records = [(key, value, ()) for key, value in zip(keys, values, strict=True)]
    batch = batch_of(records, draw.choice(("gzip", "lz4", "zstd")), timestamp_ms=0)
    return replace(before, kind="bomb-between", batch=batch, rest=(middle, after))


def packed_batch(number: int, draw: random.Random) -> Planned:
    """Three jobs in a batch that takes more memory to unpack than the line gives."""
    how = Foreseen("failed", "invalid_message", unpacked=False)
    jobs = [_record("packed", 10 * number + n, how, image=_image(draw)) for n in range(3)]
    batch = batch_of([(one.key, one.value, ()) for one in jobs], timestamp_ms=0)
    first, *rest = jobs
    return replace(first, batch=repacked(batch, "zstd", wide_window), rest=tuple(rest))


def long_key(number: int, draw: random.Random) -> Planned:
    """A job whose key leaves no room for itself in a status event."""
    whole = _record("long-key", number, _COMPLETED, image=_image(draw))
    key = b"k" * draw.randrange(1_050_000, 1_200_000)
    batch = batch_of([(key, whole.value, ())], "zstd", timestamp_ms=0)
    return replace(whole, key=key, batch=batch)


def long_key_of_nothing(number: int, draw: random.Random) -> Planned:
    """A tombstone with as long a key: its dead letter has the key, its events don't."""
    whole = long_key(number, draw)
    batch = batch_of([(whole.key, None, ())], "zstd", timestamp_ms=0)
    how = _failed("invalid_message")
    return replace(whole, kind="long-key-of-nothing", value=None, foreseen=how, batch=batch)


POISONS: tuple[Make, ...] = (
    bad_json,
    wrong_schema,
    tombstone,
    nothing_at_all,
    not_an_image,
    truncated_image,
    missing_object,
    missing_bucket,
    rejected,
    unsupported_output,
    unknown_model,
    forbidden_callback,
    largest,
    odd_header,
    bomb,
    bomb_between,
    packed_batch,
    long_key,
    long_key_of_nothing,
)
GOOD: tuple[Make, ...] = (
    *(good,) * 6,
    good_with_all,
    good_with_headers,
    good_again,
    good_without_key,
)


def _overhead(record: Planned) -> int:
    """Give what Kafka's record format adds to a value of about a megabyte, in a batch alone."""
    size = 1 + 1 + 1  # attributes, timestamp delta 0, offset delta 0
    size += _counted(record.key) + 3  # a value's length takes 3 bytes from 8 KiB to 1 MiB
    size += _varint(len(record.headers))
    for name, value in record.headers:
        size += _counted(name.encode()) + _counted(value)
    return 3 + size  # the record's own length, likewise


def _counted(content: bytes | None) -> int:
    return _varint(-1) if content is None else _varint(len(content)) + len(content)


def _varint(number: int) -> int:
    """Give the bytes of a zig-zag varint."""
    zigzag = 2 * number if number >= 0 else -2 * number - 1
    return max(1, -(-zigzag.bit_length() // 7))
