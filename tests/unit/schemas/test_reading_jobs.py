"""What a job may be, and what becomes of all other bytes."""

import json
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InvalidMessage
from schemas.examples import JOB, SMALLEST_JOB
from schemas.job import OUTPUTS, Job
from schemas.json_schema import MESSAGES, message_schema

SCHEMA = jsonschema.Draft202012Validator(message_schema(MESSAGES[0]))
ABSENT = object()

GOOD: list[tuple[str, Any]] = [
    ("job_id", "A-Za-z0-9._:-"),
    ("job_id", "x" * 128),
    ("user_id", "é" * 256),
    ("provider", None),
    ("provider", ABSENT),
    ("image", "s3://b/k"),
    ("image", "minio://My_Bucket.1/a//b/#c?versionId=null"),
    ("image", "s3://b/" + "a" * 1024),
    ("image_sha256", "aB" * 32),
    ("model", "u2net"),
    ("outputs", ["cutout"]),
    ("outputs", list(OUTPUTS)),
    ("batch", {"batch_id": "b", "index": 0, "size": 1}),
    ("batch", {"batch_id": "b", "index": 3.0, "size": 4, "more": []}),
    ("callback_url", "HTTPS://shop.example:8443/a?b=c#d"),
    ("callback_url", "http://[::1]:9000"),
    ("callback_url", "http://mask_asset/upload"),
    ("submitted_at", "2026-11-22T10:30:00Z"),
    ("submitted_at", "2026-11-22T10:30:00.123456789+05:30"),
    ("replay_of", "f20d"),
    ("metadata", {"any": ["thing", {"at": None}]}),
    ("metadata", None),
    ("unknown", {"x": 1}),
]

BAD: list[tuple[str, Any]] = [
    *((name, value) for name in ("job_id", "user_id", "image") for value in (ABSENT, None, "", 7)),
    ("job_id", "x" * 129),
    ("job_id", "a/b"),
    ("job_id", "é"),
    ("user_id", "x" * 257),
    ("provider", ""),
    ("provider", "x" * 65),
    ("provider", 1),
    ("image", "https://b/k"),
    ("image", "s3://b"),
    ("image", "s3://b/"),
    ("image", "s3:///k"),
    ("image", "s3://u@b/k"),
    ("image", "s3://b/k?"),
    ("image", "s3://b/k?versionId="),
    ("image", "s3://b/k?versionId=1&x=2"),
    ("image", "s3://b/k?X-Amz-Expires=9"),
    ("image", "s3://b/" + "a" * 8192),
    ("image_sha256", "ab" * 31),
    ("image_sha256", "g" * 64),
    ("model", ""),
    ("model", ["u2net"]),
    ("outputs", []),
    ("outputs", "cutout"),
    ("outputs", ["cutout", "cutout"]),
    ("outputs", ["hat"]),
    ("batch", {}),
    ("batch", "b-7"),
    ("batch", {"batch_id": "b", "index": -1, "size": 1}),
    ("batch", {"batch_id": "b", "index": 0, "size": 0}),
    ("batch", {"batch_id": "b", "index": "0", "size": 1}),
    ("batch", {"batch_id": "b", "index": True, "size": 1}),
    ("batch", {"batch_id": "b", "index": 0.5, "size": 1}),
    ("batch", {"batch_id": "b", "index": 2**63, "size": 1}),
    ("callback_url", "shop.example/masks"),
    ("callback_url", "ftp://shop.example"),
    ("callback_url", "http://user:word@shop.example/"),
    ("callback_url", "http:///masks"),
    ("callback_url", "http://shop.example\\@evil.example/"),
    ("callback_url", "http://shop.example/a b"),
    ("callback_url", "http://shöp.example/"),
    ("callback_url", "http://a/" + "b" * 2048),
    ("submitted_at", 1700000000),
    ("submitted_at", "1700000000"),
    ("submitted_at", "2026-11-22"),
    ("submitted_at", "yesterday"),
    ("replay_of", ""),
    ("metadata", []),
    ("metadata", "x"),
]

BEYOND_JSON_SCHEMA: list[tuple[str, Any, str]] = [
    ("job_id", "a\n", "pattern"),
    ("image", "s3://b/" + "a" * 1025, "1025 bytes"),
    ("image", "s3://b/" + "é" * 513, "1026 bytes"),
    ("image", "s3://b/a%00b", "NUL"),
    ("image", "s3://b/%ff", "not UTF-8"),
    ("callback_url", "http://a:99999/", "Port"),
    ("callback_url", "http://a:0/", "port 0"),
    ("callback_url", "http://1.2.3.999/", "Octet"),
    ("callback_url", "http://[:::]/", "IPv6"),
    ("callback_url", "http://a/\n", "absolute"),
    ("submitted_at", "2026-02-30T00:00:00Z", "day"),
    ("submitted_at", "0001-01-01T00:00:00+05:00", "years 1 to 9999"),
    ("submitted_at", "9999-12-31T23:59:59-05:00", "years 1 to 9999"),
    ("submitted_at", "2026-11-22T10:30:00+99:99", "offset"),
]


def job_with(name: str, value: object) -> dict[str, Any]:
    """Give the job of docs/messages.md with one field changed, or left out."""
    job = {**JOB, name: value}
    return {name: value for name, value in job.items() if value is not ABSENT}


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good_job_pleases_reader_and_json_schema(name: str, value: object) -> None:
    """What a producer may check with the JSON Schema, the service reads."""
    job = job_with(name, value)
    SCHEMA.validate(job)
    Job.read(json.dumps(job).encode())


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_job_is_refused_by_reader_and_json_schema(name: str, value: object) -> None:
    """What the reader refuses, a producer can find out beforehand; the error names the field."""
    job = job_with(name, value)
    assert not SCHEMA.is_valid(job)
    with pytest.raises(InvalidMessage, match=f"^Job: {name}"):
        Job.read(json.dumps(job).encode())


@pytest.mark.parametrize(("name", "value", "reason"), BEYOND_JSON_SCHEMA)
def test_reader_sees_what_no_schema_can_say(name: str, value: str, reason: str) -> None:
    """Bytes, calendars and addresses have rules beyond a pattern."""
    with pytest.raises(InvalidMessage, match=f"^Job: {name}: .*{reason}"):
        Job.read(json.dumps(job_with(name, value)).encode())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "not JSON"),
        (b"\xff{}", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"metadata":{"n":NaN}}', "NaN"),
        (b'{"metadata":{"n":-Infinity}}', "-Infinity"),
        (b'{"metadata":{"n":1e999}}', "1e999"),
        (b'{"metadata":{"n":' + b"1" * 5000 + b"}}", "digits"),
        (b'{"job_id":"a","job_id":"b"}', "'job_id' appears twice"),
        (b'{"user_id":"\\ud800"}', "not UTF-8"),
        (b'{"metadata":{"\\udfff":1}}', "not UTF-8"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested"),
        (b'{"metadata":' + b"[" * 64 + b"]" * 64 + b"}", "nested"),
    ],
)
def test_bytes_that_are_no_message_say_why(value: bytes | None, reason: str) -> None:
    """Nothing but InvalidMessage comes of any bytes, and its text names what is wrong."""
    with pytest.raises(InvalidMessage, match=reason):
        Job.read(value)


def test_nesting_up_to_the_limit_is_read_and_written() -> None:
    """What is read can be written again."""
    deep = json.dumps({**SMALLEST_JOB, "metadata": {"deep": None}})
    value = deep.replace("null", "[" * 62 + "]" * 62).encode()
    assert Job.read(value) == Job.read(Job.read(value).write())


def test_whole_pairs_of_surrogates_are_characters() -> None:
    """An escaped emoji is no half character."""
    assert Job.read(json.dumps({**JOB, "user_id": "✂😀"}).encode()).user_id == "✂😀"


def test_error_is_short_and_keeps_secrets() -> None:
    """A dead letter's reason can be published: values are cut, a URL's password is left out."""
    job = {**JOB, "image": "x" * 5000, "callback_url": "http://user:password@shop.example/"}
    with pytest.raises(InvalidMessage) as caught:
        Job.read(json.dumps(job).encode())
    assert len(str(caught.value)) < 500
    assert "xxx..." in str(caught.value)
    assert "password@" not in str(caught.value)


def test_written_job_is_compact_and_keeps_its_metadata() -> None:
    """Metadata comes back as it was, numbers beyond 64 bits included."""
    metadata = {"n": 10**40, "f": 0.1, "s": "é", "t": [True, None]}
    written = Job.read(json.dumps({**SMALLEST_JOB, "metadata": metadata}).encode()).write()
    assert metadata == json.loads(written)["metadata"]
    assert b": " not in written
    assert "é".encode() in written


@pytest.mark.parametrize("url", [value for name, value in GOOD if name == "callback_url"])
def test_accepted_callback_urls_can_be_called(url: str) -> None:
    """The HTTP client takes what the reader took."""
    assert httpx.URL(url).host


HOSTS = st.text("abc019.-_~:[]%", max_size=12)


@given(HOSTS, st.text("09:/?#[]@!aé ", max_size=8))
@settings(max_examples=300)
def test_no_accepted_callback_url_surprises_the_client(host: str, rest: str) -> None:
    """A URL fails here, where it is one job's error, or not at all."""
    url = f"http://{host}{rest}"
    try:
        Job.read(json.dumps({**SMALLEST_JOB, "callback_url": url}).encode())
    except InvalidMessage:
        return
    assert httpx.URL(url).host
    assert not httpx.URL(url).userinfo


@given(st.binary() | st.text().map(str.encode))
@settings(max_examples=200)
def test_arbitrary_bytes_raise_only_invalid_message(value: bytes) -> None:
    """No bytes end the process."""
    with pytest.raises(InvalidMessage):
        Job.read(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(JOB)), JSON_VALUES))
@settings(max_examples=200)
def test_arbitrary_fields_are_read_or_refused(changed: dict[str, Any]) -> None:
    """Whatever is read can be written and read again, the same."""
    value = json.dumps({**JOB, **changed}).encode()
    try:
        job = Job.read(value)
    except InvalidMessage:
        return
    assert job == Job.read(job.write())


def test_a_job_of_too_many_parts_is_refused() -> None:
    """Sixteen megabytes of empty lists would take half a gigabyte in memory."""
    head = b'{"job_id":"a","user_id":"u","image":"s3://b/k","metadata":{"x":['
    assert Job.read(head + b"[]," * 80_000 + b"0]}}").job_id == "a"
    with pytest.raises(InvalidMessage, match="more than 250000"):
        Job.read(head + b"[]," * 200_000 + b"0]}}")
