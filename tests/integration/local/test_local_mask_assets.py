"""The mask-asset service stores masks once a key, and misbehaves on demand."""

import concurrent.futures
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from producer_tools.local.mask_asset.process import MaskAssets
from producer_tools.local.stack import LocalStack

pytestmark = pytest.mark.integration

PNG = b"\x89PNG\r\n\x1a\n" + b"--not a boundary\r\n\r\n" * 100


@pytest.fixture
def mask_assets(behaving_stack: LocalStack) -> MaskAssets:
    """The stack's service, behaving."""
    return behaving_stack.mask_assets


@pytest.fixture
def caller(mask_assets: MaskAssets) -> Iterator[httpx.Client]:
    """A caller that knows the secret."""
    with httpx.Client(
        base_url=mask_assets.url, headers={"X-Internal-Auth": mask_assets.secret}
    ) as client:
        yield client


def upload(caller: httpx.Client, job_id: str = "job-1", **headers: str) -> httpx.Response:
    """Upload the two masks of a job."""
    return caller.post(
        "/v1/mask/upload",
        data={"user_id": "u/42", "job_id": job_id, "provider": "qwen"},
        files={
            name: (f"{name}.png", PNG, "image/png")
            for name in ("upper_body_mask", "lower_body_mask")
        },
        headers=headers,
    )


def test_masks_are_stored_under_the_keys_of_the_answer(
    stack: LocalStack, caller: httpx.Client
) -> None:
    """The answered URI, decoded once, is the object's key."""
    answer = upload(caller, "stored").json()
    assert answer["status"] == "success"
    assert answer["stored_keys"].keys() == {"upper_body_mask", "lower_body_mask"}
    uri = urlsplit(answer["stored_keys"]["upper_body_mask"])
    assert (uri.scheme, uri.netloc) == ("minio", "mask-assets")
    key = unquote(uri.path.removeprefix("/"))
    stored = stack.s3.client().get_object(Bucket=uri.netloc, Key=key)
    assert stored["Body"].read() == PNG


@pytest.mark.parametrize("headers", [{"X-Internal-Auth": "wrong"}, {"X-Internal-Auth": ""}])
def test_a_wrong_secret_is_refused(caller: httpx.Client, headers: dict[str, str]) -> None:
    """Neither a wrong nor an empty secret passes."""
    assert upload(caller, **headers).status_code == 401


def test_a_form_without_its_fields_is_refused(caller: httpx.Client) -> None:
    """The missing field is named."""
    answer = caller.post("/v1/mask/upload", data={"user_id": "u"}, files={"a": ("a.png", PNG)})
    assert answer.status_code == 400
    assert "job_id" in answer.json()["message"]


def test_one_key_is_stored_once(mask_assets: MaskAssets, caller: httpx.Client) -> None:
    """Eight uploads of one key at once are one storing and eight same answers."""
    before = mask_assets.counters()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: upload(caller, "twice", **{"Idempotency-Key": "k"}).json(), range(8))
        )
    after = mask_assets.counters()
    assert answers == [answers[0]] * 8
    assert after["stored"] - before["stored"] == 1
    assert after["duplicates"] - before["duplicates"] == 7


def test_what_could_not_be_stored_is_stored_by_the_next_try(
    stack: LocalStack, caller: httpx.Client
) -> None:
    """S3 away is a 503; it is not remembered as the key's answer."""
    caller.timeout = httpx.Timeout(60)
    stack.s3.down()
    try:
        assert upload(caller, "early", **{"Idempotency-Key": "early"}).status_code == 503
    finally:
        stack.s3.up()
    assert upload(caller, "early", **{"Idempotency-Key": "early"}).status_code == 200


def test_the_log_has_each_upload(mask_assets: MaskAssets, caller: httpx.Client) -> None:
    """The log bears what the end-to-end proofs ask it for."""
    since = mask_assets.counters()["uploads"]
    upload(caller, "logged", **{"Idempotency-Key": "logged/0", "traceparent": "00-ab-cd-01"})
    [logged] = mask_assets.uploads(since=since)
    assert logged["job_id"] == "logged"
    assert logged["idempotency_key"] == "logged/0"
    assert logged["traceparent"] == "00-ab-cd-01"
    assert logged["status"] == 200
    assert logged["sizes"] == {"upper_body_mask": len(PNG), "lower_body_mask": len(PNG)}


def test_a_status_is_answered_as_often_as_asked_for(
    mask_assets: MaskAssets, caller: httpx.Client
) -> None:
    """A rule is spent after its times."""
    mask_assets.misbehave(mode="status", status=503, retry_after="7", times=2)
    answers = [upload(caller) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"


def test_only_the_jobs_that_match_are_met(mask_assets: MaskAssets, caller: httpx.Client) -> None:
    """The expression must match the whole job_id."""
    mask_assets.misbehave(mode="status", status=422, jobs="poison-.*")
    assert upload(caller, "poison-1").status_code == 422
    assert upload(caller, "job-poison-1").status_code == 200


def test_delays_add_to_other_rules(mask_assets: MaskAssets, caller: httpx.Client) -> None:
    """A delay doesn't hide the rule after it."""
    mask_assets.misbehave(delay_ms=[100, 120], seed=7)
    mask_assets.misbehave(mode="status", status=500)
    before = time.monotonic()
    assert upload(caller).status_code == 500
    assert time.monotonic() - before >= 0.1


def test_an_answer_can_come_after_the_caller_gave_up(
    mask_assets: MaskAssets, caller: httpx.Client
) -> None:
    """What was stored stays stored, and the retry is a duplicate."""
    mask_assets.misbehave(delay_ms=[1500, 1500], times=1)
    stored = mask_assets.counters()["stored"]
    caller.timeout = httpx.Timeout(0.5)
    with pytest.raises(httpx.ReadTimeout):
        upload(caller, "late", **{"Idempotency-Key": "late"})
    assert mask_assets.counters()["stored"] == stored + 1
    assert upload(caller, "late", **{"Idempotency-Key": "late"}).status_code == 200
    assert mask_assets.counters()["stored"] == stored + 1


def test_a_connection_can_end_half_way(mask_assets: MaskAssets, caller: httpx.Client) -> None:
    """The caller sees a broken answer."""
    mask_assets.misbehave(mode="close")
    with pytest.raises(httpx.RemoteProtocolError):
        upload(caller)


@pytest.mark.parametrize("mode", ["malformed", "failure"])
def test_a_200_can_be_no_success(mask_assets: MaskAssets, caller: httpx.Client, mode: str) -> None:
    """Half a JSON, and a failure with status 200."""
    mask_assets.misbehave(mode=mode)
    answer = upload(caller)
    assert answer.status_code == 200
    assert b'"success"' not in answer.content


def test_rules_are_changed_in_one_go_and_outlive_a_restart() -> None:
    """No upload slips through between one rule and the next."""
    with MaskAssets(s3_endpoint_url=None) as service:
        headers = {"X-Internal-Auth": service.secret}
        with httpx.Client(base_url=service.url, headers=headers) as caller:
            service.misbehave(mode="status", status=503)
            service.behave({"mode": "status", "status": 422, "jobs": "poison-.*"})
            assert upload(caller, "job").status_code == 200
            service.restart()
            assert upload(caller, "poison-1").status_code == 422
            service.behave()
            assert upload(caller, "poison-1").status_code == 200


@pytest.mark.parametrize("rule", [{"mode": "status"}, {"status": 500}, {"unknown": 1}])
def test_a_rule_that_makes_no_sense_is_refused(
    mask_assets: MaskAssets, rule: dict[str, Any]
) -> None:
    """A test's typing error doesn't pass for good behaviour."""
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        mask_assets.misbehave(**rule)


def test_masks_can_be_kept_in_memory() -> None:
    """Load tests need no S3 behind the service."""
    with (
        MaskAssets(s3_endpoint_url=None) as service,
        httpx.Client(base_url=service.url, headers={"X-Internal-Auth": service.secret}) as caller,
    ):
        assert upload(caller).json()["status"] == "success"
        assert service.counters()["stored"] == 1
