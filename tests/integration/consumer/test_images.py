import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from consumer.errors import JobFailed, Unavailable
from consumer.job.holds import Holds
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from consumer.telemetry.metrics import Metrics
from producer_tools.local.s3.process import S3
from schemas.job import ImageReference

pytestmark = pytest.mark.integration

CONTENT = bytes(range(256)) * 1000
PHOTO = ImageReference.parse("s3://photos/u-42/caf%C3%A9%20%2Bfront%3F.jpg")
Opens = Callable[..., Any]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 of this module's own, which may be taken down."""
    with S3() as server:
        server.create_bucket("photos")
        client = server.client()
        client.put_object(Bucket=PHOTO.bucket, Key=PHOTO.key, Body=CONTENT)
        yield server


@pytest.fixture
async def images(s3: S3, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Images]:
    """Fetches from it, of at most the photo's size."""
    for name, value in s3.client_environment().items():
        monkeypatch.setenv(name, value)
    async with Images(load(S3Settings), max_bytes=len(CONTENT), threads=4) as opened:
        yield opened


async def failure(images: Images, reference: ImageReference, sha256: str | None = None) -> str:
    """Fetch what can't be fetched; return the code."""
    with pytest.raises(JobFailed) as raised:
        await images.fetch(reference, sha256=sha256)
    return raised.value.code


async def test_a_photo_comes_byte_for_byte(images: Images) -> None:
    """Whatever characters its key has, and checked against its hash in either case."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert await images.fetch(PHOTO) == CONTENT
    assert await images.fetch(PHOTO, sha256=digest.upper()) == CONTENT


async def test_a_version_is_fetched_by_its_id(s3: S3, images: Images) -> None:
    """The older one, though it has been overwritten since."""
    client = s3.client()
    client.create_bucket(Bucket="versions")
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    old = client.put_object(Bucket="versions", Key="k", Body=b"old")["VersionId"]
    client.put_object(Bucket="versions", Key="k", Body=b"new")
    assert await images.fetch(ImageReference("versions", "k")) == b"new"
    assert await images.fetch(ImageReference("versions", "k", old)) == b"old"
    assert await failure(images, ImageReference("versions", "k", "nil")) == "image_not_found"
    marker = client.delete_object(Bucket="versions", Key="k")["VersionId"]
    assert await failure(images, ImageReference("versions", "k")) == "image_not_found"
    assert await failure(images, ImageReference("versions", "k", marker)) == "image_not_found"


@pytest.mark.parametrize(
    "reference",
    [
        ImageReference("photos", "missing.jpg"),
        ImageReference("no-such-bucket", "front.jpg"),
        ImageReference("b" * 200, "front.jpg"),
        ImageReference("photos", "k" * 1024),
        ImageReference("photos", "../photos/a"),
        ImageReference("directory--use1-az1--x-s3", "front.jpg"),
        ImageReference("point-s3alias", "front.jpg"),
        ImageReference("outpost--op-s3", "front.jpg"),
    ],
)
async def test_a_missing_photo_fails_its_job(images: Images, reference: ImageReference) -> None:
    """Also where the bucket's name means something else to botocore."""
    assert await failure(images, reference) == "image_not_found"


async def test_a_photo_of_the_largest_size_is_fetched_and_no_larger(s3: S3, images: Images) -> None:
    """The limit is `MAX_IMAGE_BYTES` itself."""
    s3.client().put_object(Bucket="photos", Key="large", Body=CONTENT + b"!")
    assert await failure(images, ImageReference("photos", "large")) == "image_too_large"


async def test_another_hash_fails_the_job(images: Images) -> None:
    """What was uploaded isn't what was submitted."""
    assert await failure(images, PHOTO, sha256="0" * 64) == "checksum_mismatch"


async def test_only_listed_buckets_are_read(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`S3_ALLOWED_BUCKETS` is the list."""
    monkeypatch.setenv("S3_ALLOWED_BUCKETS", "photos/u-42,others")
    async with Images(load(S3Settings), max_bytes=len(CONTENT), threads=1) as bounded:
        assert await bounded.fetch(PHOTO) == CONTENT
        assert await failure(bounded, ImageReference("photos", "u-421/x")) == "image_forbidden"


async def test_wrong_credentials_are_not_the_photos_fault(
    s3: S3, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown key, or none at all, is for a person to mend: nothing is dead-lettered."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    async with Images(load(S3Settings), max_bytes=1, threads=1) as unknown:
        with pytest.raises(Unavailable, match="InvalidAccessKeyId"):
            await unknown.fetch(PHOTO)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    async with Images(load(S3Settings), max_bytes=1, threads=1) as without_key:
        with pytest.raises(Unavailable, match="Unable to locate credentials"):
            await without_key.fetch(PHOTO)


async def test_many_fetches_share_few_threads(images: Images) -> None:
    """So many at once as there are threads, and no more; all are served."""
    before = set(threading.enumerate())
    most = 0

    async def watched() -> bytes:
        nonlocal most
        photo = await images.fetch(PHOTO)
        ours = set(threading.enumerate()) - before
        most = max(most, sum(thread.name == "images" for thread in ours))
        return photo

    photos = await asyncio.gather(*(watched() for _ in range(40)))
    assert photos == [CONTENT] * 40
    assert 1 <= most <= 4


async def test_the_line_holds_while_s3_is_down_and_goes_on_by_itself(
    s3: S3, images: Images
) -> None:
    """From the first refused connection to the first answer, the reason is to be seen."""
    holds = Holds(metrics=Metrics(), jitter=lambda low, high: 0.05)
    reasons: list[str] = []

    async def on_retry(error: Unavailable, delay: float) -> None:
        reasons.extend(holds.reasons())
        if len(reasons) == 3:
            await asyncio.to_thread(s3.up)

    await asyncio.to_thread(s3.down)
    photo = await holds.until_available(lambda: images.fetch(PHOTO), on_retry=on_retry)
    assert photo == CONTENT
    assert len(reasons) == 3
    assert f"storage_unavailable: S3: {s3.endpoint_url}: ConnectionRefusedError" in reasons[0]
    assert holds.reasons() == []
