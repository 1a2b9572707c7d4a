"""The local S3 answers as S3 does, goes away and comes back."""

import os
import socket
import uuid

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from producer_tools.local import ports
from producer_tools.local.s3.moto_server import Server, application
from producer_tools.local.s3.process import S3, s3_client
from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack

pytestmark = pytest.mark.integration


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"tests/{uuid.uuid4().hex}"


def get(s3: S3, key: str) -> bytes:
    """Read an object."""
    content: bytes = s3.client().get_object(Bucket=UPLOAD_BUCKET, Key=key)["Body"].read()
    return content


def code(error: ClientError) -> str:
    """The error code that S3 answered."""
    return str(error.response["Error"]["Code"])


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
def test_what_is_put_is_got(stack: LocalStack, key: str, size: int) -> None:
    """Objects of any size come back byte for byte."""
    content = os.urandom(size)
    stack.s3.client().put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=content)
    assert get(stack.s3, key) == content


def test_a_client_with_checksums_in_trailing_chunks_is_served(stack: LocalStack, key: str) -> None:
    """boto3's own defaults work too."""
    content = os.urandom(300_000)
    config = Config(request_checksum_calculation="when_supported")
    checksumming = stack.s3.client(config=config)
    checksumming.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=content)
    answer = checksumming.get_object(Bucket=UPLOAD_BUCKET, Key=key, ChecksumMode="ENABLED")
    assert answer["Body"].read() == content


def test_one_connection_carries_many_requests(stack: LocalStack, key: str) -> None:
    """Connections are kept alive, as the throughput of everything here needs."""
    one = s3_client(stack.s3.endpoint_url, connections=1)
    for _ in range(3):
        one.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=b"x")
        one.head_object(Bucket=UPLOAD_BUCKET, Key=key)
    pool = one._endpoint.http_session._manager.connection_from_url(stack.s3.endpoint_url)
    assert pool.num_connections == 1


@pytest.mark.parametrize(
    ("bucket", "expected"), [(UPLOAD_BUCKET, "NoSuchKey"), ("no-such-bucket", "NoSuchBucket")]
)
def test_what_is_missing_is_named(stack: LocalStack, bucket: str, expected: str) -> None:
    """Missing object and missing bucket have S3's codes."""
    with pytest.raises(ClientError) as caught:
        stack.s3.client().get_object(Bucket=bucket, Key="missing")
    assert code(caught.value) == expected


def test_an_unknown_access_key_is_refused(stack: LocalStack) -> None:
    """The consumer must be able to meet refused credentials."""
    stranger = stack.s3.client(aws_access_key_id="stranger")
    with pytest.raises(ClientError) as caught:
        stranger.get_object(Bucket=UPLOAD_BUCKET, Key="any")
    assert code(caught.value) == "InvalidAccessKeyId"


def test_objects_outlive_a_time_down(stack: LocalStack, key: str) -> None:
    """Down is a closed port; up is as before."""
    impatient = stack.s3.client(config=Config(retries={"total_max_attempts": 1}))
    impatient.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=b"kept")
    stack.s3.down()
    try:
        with pytest.raises(EndpointConnectionError):
            impatient.get_object(Bucket=UPLOAD_BUCKET, Key=key)
    finally:
        stack.s3.up()
    assert get(stack.s3, key) == b"kept"


def test_a_restart_keeps_the_address_and_loses_the_objects() -> None:
    """A restart keeps what its docstring promises."""
    with S3() as s3:
        s3.create_bucket(UPLOAD_BUCKET)
        address = s3.endpoint_url
        s3.kill()
        s3.restart()
        assert s3.endpoint_url == address
        assert s3.client().list_buckets()["Buckets"] == []


def test_a_connection_that_ends_meanwhile_does_not_stop_the_server_from_closing() -> None:
    """The thread of a connection may close it while the server cuts all of them."""
    server = Server(0, application("key"))
    ended = socket.socket()
    server._connections.add(ended)
    ended.close()
    server.close()
    assert not ports.is_open(server.server_port)
