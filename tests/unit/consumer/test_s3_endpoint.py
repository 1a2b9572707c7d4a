import http.client
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumer.errors import StartError
from consumer.s3.endpoint import Endpoint
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.support.receiver import Receiver, reply
from tests.support.s3_stand_in import S3StandIn
from tests.support.sigv4 import is_signed_with


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3StandIn]:
    """An S3 whose keys are in the environment."""
    async with S3StandIn() as server:
        monkeypatch.setenv("S3_ENDPOINT_URL", server.origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield server


async def fetch(reference: ImageReference) -> bytes:
    """Fetch one photo with the settings of the environment."""
    async with Images(load(S3Settings), max_bytes=1000, threads=1) as images:
        return await images.fetch(reference)


@pytest.mark.parametrize(
    "bucket",
    [
        "outpost--op-s3",
        "directory--use1-az1--x-s3",
        "table--table-s3",
        "alias-s3alias",
        "lambda--ol-s3",
        "mrap.mrap",
        "accesspoint.s3-global",
        "Capitals_and_more",
        "1.2.3.4",
        "xn--bucket",
        "b" * 200,
    ],
)
async def test_no_buckets_name_leads_away_from_the_endpoint(bucket: str, s3: S3StandIn) -> None:
    """AWS's own clients ask other hosts for some of them, with a signed request."""
    s3.put(f"/{bucket}/1.jpg", b"photo")
    assert await fetch(ImageReference(bucket, "1.jpg")) == b"photo"
    assert f"127.0.0.1:{s3.port}" == s3.requests[0].headers["Host"]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("../private/1.jpg", "/uploads/../private/1.jpg"),
        ("./a/./1.jpg", "/uploads/./a/./1.jpg"),
        ("a/..", "/uploads/a/.."),
        ("..", "/uploads/.."),
        ("/1.jpg", "/uploads//1.jpg"),
        ("a//b/", "/uploads/a//b/"),
        ("%2e%2e/1.jpg", "/uploads/%252e%252e/1.jpg"),
        ("a b+c?d#e&f=g;h", "/uploads/a%20b%2Bc%3Fd%23e%26f%3Dg%3Bh"),
        ("ä\n\t\r~_-.jpg", "/uploads/%C3%A4%0A%09%0D~_-.jpg"),
        ("\\..\\1.jpg", "/uploads/%5C..%5C1.jpg"),
        ("http://elsewhere/1.jpg", "/uploads/http%3A//elsewhere/1.jpg"),
    ],
)
async def test_a_key_is_sent_byte_for_byte(key: str, path: str, s3: S3StandIn) -> None:
    """To S3 a step is a name like any other, and so is all else."""
    s3.put(path, b"photo")
    assert await fetch(ImageReference("uploads", key)) == b"photo"
    assert [path] == [request.target for request in s3.requests]
    assert is_signed_with("secret", s3.requests[0])


async def test_a_version_is_asked_for_as_it_is_called(s3: S3StandIn) -> None:
    """Nothing in it ends the query or begins another."""
    s3.put("/uploads/1.jpg", b"photo")
    await fetch(ImageReference("uploads", "1.jpg", "a/b&c=d +%"))
    assert "/uploads/1.jpg?versionId=a%2Fb%26c%3Dd%20%2B%25" == s3.requests[0].target
    assert is_signed_with("secret", s3.requests[0])
    assert not is_signed_with("another", s3.requests[0])


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_no_proxy_gets_our_requests(
    name: str, s3: S3StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are signed, and the photos are people's."""
    monkeypatch.setenv(name, receiver.origin)
    s3.put("/uploads/1.jpg", b"photo")
    assert await fetch(ImageReference("uploads", "1.jpg")) == b"photo"
    assert receiver.requests == []


@pytest.mark.parametrize(
    "config",
    [
        "s3 =\n  addressing_style = virtual",
        "s3 =\n  use_accelerate_endpoint = true",
        "s3 =\n  signature_version = s3",
        "s3 =\n  payload_signing_enabled = false",
        "use_fips_endpoint = true",
        "use_dualstack_endpoint = true",
        "signature_version = s3",
        "endpoint_url = http://elsewhere.invalid",
        "region = eu-west-9",
        "max_attempts = 9\nretry_mode = adaptive",
        "response_checksum_validation = when_supported",
        "parameter_validation = nonsense",
        "api_versions =\n  s3 = 1999-01-01",
    ],
)
async def test_awss_config_file_changes_nothing(
    config: str, s3: S3StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may say where credentials are, and no more."""
    file = tmp_path / "config"
    file.write_text(f"[default]\n{config}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    s3.put("/uploads/1.jpg", b"photo")
    assert await fetch(ImageReference("uploads", "1.jpg")) == b"photo"
    scope = s3.requests[0].headers["Authorization"].split(",")[0]
    assert scope.startswith("AWS4-HMAC-SHA256 Credential=key/")
    assert scope.endswith("/us-east-1/s3/aws4_request")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://elsewhere.invalid"),
        ("AWS_ENDPOINT_URL_S3", "http://elsewhere.invalid"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_DEFAULT_REGION", "eu-west-9"),
        ("AWS_REGION", "eu-west-9"),
        ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "nonsense"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "nonsense"),
        ("AWS_DEFAULTS_MODE", "nonsense"),
        ("AWS_MAX_ATTEMPTS", "nonsense"),
        ("AWS_PROFILE", "nobody"),
        ("REQUESTS_CA_BUNDLE", "/nowhere"),
        ("SSL_CERT_FILE", "/nowhere"),
    ],
)
async def test_other_variables_change_nothing(
    name: str, value: str, s3: S3StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of the contract decide."""
    monkeypatch.setenv(name, value)
    s3.put("/uploads/1.jpg", b"photo")
    assert await fetch(ImageReference("uploads", "1.jpg")) == b"photo"
    assert "/us-east-1/s3/" in s3.requests[0].headers["Authorization"]


async def test_an_endpoint_may_have_a_path(s3: S3StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind an ingress that serves more than S3."""
    monkeypatch.setenv("S3_ENDPOINT_URL", f"{s3.origin}/storage/")
    s3.put("/storage/uploads/1.jpg", b"photo")
    assert await fetch(ImageReference("uploads", "1.jpg")) == b"photo"


async def test_a_redirect_is_not_followed(s3: S3StandIn, receiver: Receiver) -> None:
    """A signed request goes to one server."""
    s3.objects["/uploads/1.jpg"] = reply(307, Location=f"{receiver.origin}/uploads/1.jpg")
    with pytest.raises(Exception, match="307"):
        await fetch(ImageReference("uploads", "1.jpg"))
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("region", "bucket", "url"),
    [
        ("eu-west-1", "uploads", "https://uploads.s3.eu-west-1.amazonaws.com/1.jpg"),
        ("eu-west-1", "up.loads", "https://s3.eu-west-1.amazonaws.com/up.loads/1.jpg"),
        ("eu-west-1", "Uploads", "https://s3.eu-west-1.amazonaws.com/Uploads/1.jpg"),
        ("cn-north-1", "uploads", "https://uploads.s3.cn-north-1.amazonaws.com.cn/1.jpg"),
        (
            "eu-west-1",
            "a--use1-az1--x-s3",
            "https://a--use1-az1--x-s3.s3.eu-west-1.amazonaws.com/1.jpg",
        ),
    ],
)
def test_without_an_endpoint_it_is_amazons_of_the_region(
    region: str, bucket: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a bucket's name can be a host's, it is one."""
    monkeypatch.setenv("S3_REGION", region)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    endpoint = Endpoint.of(load(S3Settings))
    assert url == endpoint.locate(ImageReference(bucket, "1.jpg")).url


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        ("http://s3", "s3"),
        ("http://s3:80", "s3"),
        ("http://s3:9000", "s3:9000"),
        ("https://S3.Example:443/", "s3.example"),
        ("http://[::1]:9000", "[::1]:9000"),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_the_host_header_is_the_endpoints(
    endpoint: str, authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is signed, so it must be the one that is sent."""
    monkeypatch.setenv("S3_ENDPOINT_URL", endpoint)
    location = Endpoint.of(load(S3Settings)).locate(ImageReference("uploads", "1.jpg"))
    assert authority == location.authority
    assert location.host in http.client.HTTPConnection(location.host, location.port).host


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("S3_ENDPOINT_URL", "http://me:w0rd@s3", "must not have a user"),
        ("S3_ENDPOINT_URL", "http://s3/?x=1", "without query"),
        ("S3_ENDPOINT_URL", "ftp://s3", "S3_ENDPOINT_URL"),
        ("S3_ENDPOINT_URL", "s3:9000", "S3_ENDPOINT_URL"),
        ("S3_REGION", "not a region", "S3_REGION='not a region' is not a region"),
        ("S3_REGION", "a/../b", "S3_REGION"),
        ("S3_ALLOWED_BUCKETS", "s3://photos", "'s3://photos' is not a bucket or bucket/prefix"),
        ("S3_ALLOWED_BUCKETS", "photos,/a", "'/a' is not a bucket or bucket/prefix"),
        ("UPLOAD_BUCKET", "a/b", "UPLOAD_BUCKET"),
        ("FETCH_DEADLINE_SECONDS", "0", "FETCH_DEADLINE_SECONDS"),
        ("FETCH_DEADLINE_SECONDS", "inf", "FETCH_DEADLINE_SECONDS"),
        ("FETCH_DEADLINE_SECONDS", "soon", "FETCH_DEADLINE_SECONDS"),
        ("AWS_ACCESS_KEY_ID", "alone", "AWS_ACCESS_KEY_ID .*AWS_SECRET_ACCESS_KEY belong together"),
        ("AWS_SESSION_TOKEN", "alone", "only AWS_SESSION_TOKEN is set"),
        ("AWS_SECRET_ACCESS_KEY", "w0rd\n", "AWS_SECRET_ACCESS_KEY: .*ends with a space"),
        ("AWS_SECRET_ACCESS_KEY", "wörd", "AWS_SECRET_ACCESS_KEY: .*odd characters"),
        ("AWS_ACCESS_KEY_ID", " w0rd", "AWS_ACCESS_KEY_ID: .*begins or ends with a space"),
        ("AWS_SESSION_TOKEN", "w0rd\r\nHost: x", "AWS_SESSION_TOKEN: .*odd characters"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem", "AWS_CA_BUNDLE='/nowhere/ca.pem' can't be read"),
        ("AWS_CA_BUNDLE", __file__, "AWS_CA_BUNDLE"),
    ],
)
async def test_a_setting_that_cannot_work_is_named_at_the_start(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found at the start, and not by the first job; no secret is shown."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=says) as raised:
        async with Images(load(S3Settings), max_bytes=1, threads=1):
            pass
    assert raised.value.exit_code == 2
    assert "w0rd" not in str(raised.value)
