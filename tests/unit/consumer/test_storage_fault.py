import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from consumer.errors import JobFailed, Unavailable
from consumer.s3.faults import fault
from consumer.s3.fetch import allowed
from schemas.job import ImageReference

PHOTO = ImageReference("uploads", "a/1.jpg")


def answer(status: int, code: str, **headers: str) -> ClientError:
    """Make an error as botocore reads it from an answer."""
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers, "RequestId": "", "HostId": "",
            "RetryAttempts": 0}  # fmt: skip
    return ClientError(
        {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": meta},
        "GetObject",
    )


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", "image_not_found"),
        (404, "NoSuchBucket", "image_not_found"),
        (404, "NoSuchVersion", "image_not_found"),
        (404, "404", "image_not_found"),
        (405, "MethodNotAllowed", "image_not_found"),
        (400, "InvalidArgument", "image_not_found"),
        (400, "KeyTooLongError", "image_not_found"),
        (403, "AccessDenied", "image_forbidden"),
        (403, "InvalidObjectState", "image_forbidden"),
        (403, "403", "image_forbidden"),
    ],
)
def test_an_answer_about_the_photo_fails_the_job(status: int, code: str, expected: str) -> None:
    """The line goes on."""
    error = fault(answer(status, code), PHOTO)
    assert isinstance(error, JobFailed)
    assert (error.code, error.stage) == (expected, "fetch")
    assert "s3://uploads/a/1.jpg" in str(error)
    assert code in str(error)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "RequestTimeTooSkewed"),
        (403, "InvalidTokenId"),
        (404, "XAdminUserNotFound"),
        (400, "ExpiredToken"),
        (400, "InvalidToken"),
        (400, "AuthorizationHeaderMalformed"),
        (301, "PermanentRedirect"),
        (307, "TemporaryRedirect"),
        (401, "Unauthorized"),
        (400, "RequestTimeout"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (502, "502"),
        (503, "SlowDown"),
        (503, "XMinioServerNotInitialized"),
        (599, ""),
        (200, "InternalError"),
    ],
)
def test_an_answer_about_us_or_s3_holds_the_line(status: int, code: str) -> None:
    """Nothing is lost to a wrong key, a wrong clock or a busy S3."""
    error = fault(answer(status, code), PHOTO)
    assert isinstance(error, Unavailable)
    assert (error.code, error.stage) == ("storage_unavailable", "fetch")
    assert f"{status} {code}" in str(error)


def test_slow_down_may_say_for_how_long() -> None:
    """`Retry-After` is kept for the hold."""
    error = fault(answer(503, "SlowDown", **{"retry-after": "30"}), PHOTO)
    assert isinstance(error, Unavailable)
    assert error.retry_after == 30


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://s3"),
        ConnectTimeoutError(endpoint_url="http://s3"),
        ReadTimeoutError(endpoint_url="http://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        CredentialRetrievalError(provider="web-identity", error_msg="x"),
        TokenRetrievalError(provider="sso", error_msg="x"),
    ],
)
def test_no_answer_holds_the_line(error: BotoCoreError) -> None:
    """The reason has botocore's words."""
    held = fault(error, PHOTO)
    assert isinstance(held, Unavailable)
    assert type(error).__name__ in str(held)


def test_a_name_that_no_request_can_be_made_for_fails_the_job() -> None:
    """Such a photo would hold the line for ever."""
    error = fault(ParamValidationError(report="Invalid bucket name"), PHOTO)
    assert isinstance(error, JobFailed)
    assert error.code == "image_not_found"


@pytest.mark.parametrize(
    ("bucket", "key", "listed", "expected"),
    [
        ("any", "x", (), True),
        ("uploads", "a/1.jpg", ("uploads",), True),
        ("uploads", "a/1.jpg", ("other", "uploads"), True),
        ("uploads", "a/1.jpg", ("uploads/a",), True),
        ("uploads", "a/1.jpg", ("uploads/a/",), True),
        ("uploads", "a", ("uploads/a",), True),
        ("uploads", "a/b/1.jpg", ("uploads/a/b",), True),
        ("uploads", "ab/1.jpg", ("uploads/a",), False),
        ("uploads2", "a/1.jpg", ("uploads",), False),
        ("upload", "s/a/1.jpg", ("uploads",), False),
        ("uploads", "b/1.jpg", ("uploads/a",), False),
        ("uploads", "A/1.jpg", ("uploads/a",), False),
        ("uploads", "a/../b/1.jpg", ("uploads/a",), False),
        ("uploads", "../private/1.jpg", ("uploads",), False),
        ("uploads", "./1.jpg", (), False),
        ("..", "1.jpg", (), False),
        ("uploads", "a..b/...jpg", ("uploads",), True),
        ("uploads", "//1.jpg", ("uploads",), True),
    ],
)
def test_only_listed_buckets_are_read(
    bucket: str, key: str, listed: tuple[str, ...], expected: bool
) -> None:
    """A prefix ends at a slash, and no step leads out of it."""
    assert allowed(ImageReference(bucket, key), listed) is expected
