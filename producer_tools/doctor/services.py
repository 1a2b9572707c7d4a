"""S3 and the receiver of masks: reached, and do they take us? And what time is it there?"""

import asyncio
import uuid
from collections.abc import AsyncIterator

from consumer.errors import JobFailed, Unavailable
from consumer.s3.endpoint import Endpoint
from consumer.s3.fetch import Images
from consumer.settings import CallbackSettings, ImageSettings, S3Settings
from producer_tools.doctor.certificates import certificate
from producer_tools.doctor.finding import Exit, Finding, good, warn, wrong
from producer_tools.doctor.peer import NoAnswer, Peer, ask
from schemas.callback import AUTH_HEADER
from schemas.job import ImageReference

FETCH_SECONDS = 20.0
WARN_AHEAD, WRONG_AHEAD = 30.0, 300.0
"""Seconds. Signed requests are refused after 15 minutes, signed callbacks after five."""


async def look_at_s3(settings: S3Settings, images: ImageSettings) -> AsyncIterator[Finding]:
    """Ask each bucket for a photo that isn't there, as the consumer asks for one that is."""
    endpoint = Endpoint.of(settings)
    url = f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}/"
    try:
        peer = await ask(url, ca_file=settings.aws_ca_bundle, method="HEAD")
    except NoAnswer as error:
        yield wrong("s3", f"{url}: {error}", "check S3_ENDPOINT_URL and AWS_CA_BUNDLE")
        return
    for finding in (certificate(f"the certificate of {url}", peer.expires), _clock(url, peer)):
        if finding is not None:
            yield finding
    async with Images(settings, max_bytes=images.max_image_bytes, threads=1) as store:
        for bucket in settings.s3_allowed_buckets or (settings.upload_bucket,):
            yield await _look_at_bucket(store, bucket)
    if settings.s3_allowed_buckets and not any(
        bucket.split("/")[0] == settings.upload_bucket for bucket in settings.s3_allowed_buckets
    ):
        yield warn(
            "s3",
            f"UPLOAD_BUCKET={settings.upload_bucket} is not in S3_ALLOWED_BUCKETS: what is"
            " uploaded there can't be read",
            "add it to S3_ALLOWED_BUCKETS, unless nobody uploads",
        )


async def _look_at_bucket(store: Images, bucket: str) -> Finding:
    name, _, prefix = bucket.partition("/")
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    reference = ImageReference.parse(f"s3://{name}/{folder}maskline-doctor-{uuid.uuid4()}")
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            await store.fetch(reference)
    except JobFailed as error:
        if error.code == "image_not_found" and "NoSuchBucket" not in str(error):
            return good("s3", f"bucket {bucket} answers, and takes our credentials")
        if error.code == "image_not_found":
            return wrong("s3", f"there is no bucket {name}", "make it, or mend the settings")
        return warn(
            "s3",
            f"bucket {bucket} refuses an object that isn't there: {error}",
            "S3 answers so without the right s3:ListBucket, and also without s3:GetObject: see"
            " that the consumer has the latter",
        )
    except (Unavailable, TimeoutError) as error:
        reason = str(error) or f"no answer within {FETCH_SECONDS:g} s"
        return wrong("s3", f"bucket {bucket}: {reason}", "the line holds so: mend what it names")
    return good("s3", f"bucket {bucket} answers")


async def look_at_callback(settings: CallbackSettings) -> AsyncIterator[Finding]:
    """Ask `MASK_ASSET_URL` with OPTIONS and our secret: nothing is stored."""
    url = settings.mask_asset_url
    secret = settings.mask_component_secret.get_secret_value()
    try:
        peer = await ask(
            url,
            ca_file=settings.callback_ca_file,
            method="OPTIONS",
            headers={AUTH_HEADER: secret},
        )
    except NoAnswer as error:
        yield wrong(
            "callback", f"MASK_ASSET_URL: {error}", "check MASK_ASSET_URL and CALLBACK_CA_FILE"
        )
        return
    for finding in (
        _read_status(peer.status),
        certificate("the certificate of MASK_ASSET_URL", peer.expires),
        _clock("MASK_ASSET_URL", peer),
    ):
        if finding is not None:
            yield finding


def _read_status(status: int) -> Finding:
    says = f"MASK_ASSET_URL answers OPTIONS with {status}"
    if status in (401, 403):
        return wrong("callback", says, "is MASK_COMPONENT_SECRET the receiver's?")
    if status == 404:
        return wrong("callback", says, "is the path in MASK_ASSET_URL right?")
    if status >= 500 and status != 501:
        return wrong("callback", says, "the receiver is down: the line would hold")
    if 300 <= status < 400:
        return warn("callback", says, "redirects aren't followed: name the place itself")
    return good("callback", f"{says}; whether it takes masks, the first job shows")


def _clock(whose: str, peer: Peer) -> Finding | None:
    if peer.ahead is None:
        return None
    how = "ahead of" if peer.ahead > 0 else "behind"
    says = f"our clock is {abs(peer.ahead):.0f} s {how} that of {whose}"
    if abs(peer.ahead) > WRONG_AHEAD:
        return wrong("clock", says, "set the clocks, by NTP", exit_code=Exit.SERVICE)
    if abs(peer.ahead) > WARN_AHEAD:
        return warn("clock", says, "set the clocks, by NTP")
    return good("clock", f"that of {whose} agrees with ours")
