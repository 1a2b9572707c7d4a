import pytest

from consumer.errors import JobFailed, Unavailable
from consumer.s3.answers import Answer, KeysRefused, ObjectUnavailable, is_page, meaning
from consumer.s3.fetch import check_allowed
from schemas.job import ImageReference
from tests.support.s3_stand_in import error

PHOTO = ImageReference("uploads", "a/1.jpg")
VERSION = ImageReference("uploads", "a/1.jpg", "v1")


def means(status: int, body: bytes, reference: ImageReference = PHOTO) -> JobFailed | Unavailable:
    """Give what an answer means."""
    return meaning(Answer(status, {}, body), reference)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", "image_not_found"),
        (404, "NoSuchBucket", "image_not_found"),
        (404, "NoSuchVersion", "image_not_found"),
        (400, "NoSuchVersion", "image_not_found"),
        (400, "InvalidBucketName", "image_not_found"),
        (400, "InvalidURI", "image_not_found"),
        (400, "KeyTooLongError", "image_not_found"),
        (400, "XMinioInvalidObjectName", "image_not_found"),
        (403, "AccessDenied", "image_forbidden"),
        (403, "InvalidObjectState", "image_forbidden"),
    ],
)
def test_s3s_own_word_on_the_photo_fails_the_job(status: int, code: str, expected: str) -> None:
    """The line goes on."""
    fault = means(status, error(code))
    assert isinstance(fault, JobFailed)
    assert (fault.code, fault.stage) == (expected, "fetch")
    assert "s3://uploads/a/1.jpg" in str(fault)
    assert code in str(fault)


def test_an_error_document_may_have_a_namespace() -> None:
    """Some stores write one."""
    body = error("NoSuchKey").replace(b"<Error>", b'<Error xmlns="http://s3.example/doc/">')
    assert isinstance(means(404, body), JobFailed)


@pytest.mark.parametrize(
    ("status", "code"),
    [(405, "MethodNotAllowed"), (400, "InvalidArgument"), (400, "InvalidVersionId")],
)
def test_what_is_said_of_a_version_fails_only_a_job_that_asks_for_one(
    status: int, code: str
) -> None:
    """Without a version it isn't known whose fault this is."""
    fault = means(status, error(code), VERSION)
    assert isinstance(fault, JobFailed)
    assert fault.code == "image_not_found"
    assert isinstance(means(status, error(code)), ObjectUnavailable)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"default backend - 404"),
        (404, b""),
        (404, b"<html><body>404</body></html>"),
        (404, b'{"code": "NoSuchKey"}'),
        (404, b"<Error><Message>no code</Message></Error>"),
        (404, b"<Error><Code></Code></Error>"),
        (404, b"<ErrorResponse><Error><Code>NoSuchKey</Code></Error></ErrorResponse>"),
        (404, b'<!DOCTYPE Error [<!ENTITY a "b">]>' + error("NoSuchKey")[39:]),
        (404, error("NoSuchKey") + b" " * 65536),
        (404, error("NoSuchKey")[:-10]),
        (404, error("NoSuchWebsiteConfiguration")),
        (403, b"<html>Forbidden by the firewall</html>"),
        (403, b""),
        (403, error("SomethingNew")),
        (400, b"Bad Request"),
        (200, error("NoSuchKey")),
        (204, b""),
        (206, b"half"),
        (301, error("PermanentRedirect")),
        (302, b""),
        (307, error("TemporaryRedirect")),
        (400, error("AuthorizationHeaderMalformed")),
        (403, error("SignatureDoesNotMatch")),
        (403, error("AllAccessDisabled")),
        (416, error("InvalidRange")),
        (418, b"\xff\xfe\x00"),
    ],
)
def test_what_is_not_known_holds_and_may_be_the_objects_own_trouble(
    status: int, body: bytes
) -> None:
    """Nobody has said that the photo isn't there."""
    fault = means(status, body)
    assert isinstance(fault, ObjectUnavailable)
    assert (fault.code, fault.stage) == ("storage_unavailable", "fetch")
    assert str(status) in str(fault)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ExpiredToken"),
        (400, "InvalidToken"),
        (400, "TokenRefreshRequired"),
        (401, "Unauthorized"),
        (403, "AccountProblem"),
        (403, "AccountSuspended"),
        (403, "InvalidAccessKeyId"),
        (403, "InvalidClientTokenId"),
        (403, "InvalidPayer"),
        (403, "InvalidSecurity"),
        (403, "InvalidTokenId"),
        (403, "InsufficientBalance"),
        (403, "NotSignedUp"),
        (403, "OptInRequired"),
        (403, "RequestExpired"),
        (403, "RequestTimeTooSkewed"),
        (403, "UnrecognizedClientException"),
        (403, "UserSuspended"),
        (400, "XMinioInvalidIAMCredentials"),
        (404, "XAdminUserNotFound"),
    ],
)
def test_what_refuses_us_is_no_photos_trouble(status: int, code: str) -> None:
    """Nothing is lost to a wrong key or clock, or to an unpaid bill, however often it is said."""
    fault = means(status, error(code))
    assert isinstance(fault, KeysRefused)
    assert f"{status} {code}" in str(fault)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BandwidthLimitExceeded"),
        (400, "EC2ThrottledException"),
        (400, "PriorRequestNotComplete"),
        (400, "RequestLimitExceeded"),
        (400, "RequestThrottledException"),
        (400, "RequestTimeout"),
        (400, "SlowDown"),
        (400, "Throttling"),
        (400, "TooManyRequestsException"),
        (400, "XMinioBackendDown"),
        (403, "QuotaExceeded"),
        (403, "RateLimitExceeded"),
        (408, "Whatever"),
        (409, "OperationAborted"),
        (429, "ErrTooManyRequest"),
        (429, "New"),
        (500, "InternalError"),
        (500, "NoSuchKey"),
        (501, "NotImplemented"),
        (503, "SlowDownRead"),
        (503, "XMinioServerNotInitialized"),
    ],
)
def test_a_busy_s3_is_no_photos_trouble(status: int, code: str) -> None:
    """Whatever SDKs and stores call it."""
    fault = means(status, error(code))
    assert type(fault) is Unavailable
    assert f"{status} {code}" in str(fault)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 599])
def test_an_error_of_any_server_is_no_photos_trouble(status: int) -> None:
    """A gateway without S3 behind it has pages of its own."""
    assert type(means(status, b"<html>bad gateway</html>")) is Unavailable


def test_slow_down_may_say_for_how_long() -> None:
    """`Retry-After` is kept for the hold."""
    fault = meaning(Answer(503, {"retry-after": "30"}, error("SlowDown")), PHOTO)
    assert isinstance(fault, Unavailable)
    assert fault.retry_after == 30


def test_the_reason_of_a_hold_does_not_show_the_key() -> None:
    """`/readyz` shows it, and a key may name a person."""
    fault = means(403, error("SomethingNew", "no s3:GetObject on uploads/a/1.jpg for you"))
    assert "a/1.jpg" not in str(fault)
    assert "SomethingNew" in str(fault)
    page = b"<html>/uploads/a/J%C3%B6rg.jpg is blocked</html>"
    assert "J%C3%B6rg" not in str(means(403, page, ImageReference("uploads", "a/J\u00f6rg.jpg")))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-type": "text/html"}, True),
        ({"content-type": "Text/HTML; charset=utf-8"}, True),
        ({"content-type": "text/html", "etag": '"1"'}, False),
        ({"content-type": "text/html", "x-amz-request-id": "1"}, False),
        ({"content-type": "image/jpeg"}, False),
        ({}, False),
    ],
)
def test_a_page_for_people_is_no_object(headers: dict[str, str], expected: bool) -> None:
    """A login page with 200 would make `invalid_image` of every job."""
    assert is_page(headers) is expected


@pytest.mark.parametrize(
    ("bucket", "key", "listed"),
    [
        ("any", "x", ()),
        ("uploads", "./1.jpg", ()),
        ("uploads", "a/../../1.jpg", ()),
        ("uploads", "..", ()),
        ("uploads", "a/1.jpg", ("uploads",)),
        ("uploads", "a/1.jpg", ("other", "uploads")),
        ("uploads", "a/1.jpg", ("uploads/a",)),
        ("uploads", "a/1.jpg", ("uploads/a/",)),
        ("uploads", "a", ("uploads/a",)),
        ("uploads", "a/b/1.jpg", ("uploads/a/b",)),
        ("uploads", "a/../b/1.jpg", ("uploads",)),
        ("uploads", "a/./b/../1.jpg", ("uploads/a",)),
        ("uploads", "a..b/...jpg", ("uploads",)),
        ("uploads", "//1.jpg", ("uploads",)),
    ],
)
def test_listed_buckets_are_read(bucket: str, key: str, listed: tuple[str, ...]) -> None:
    """A step is a name like any other, as long as nobody who takes it leaves the list."""
    check_allowed(ImageReference(bucket, key), listed)


@pytest.mark.parametrize(
    ("bucket", "key", "listed", "says"),
    [
        ("uploads", "ab/1.jpg", ("uploads/a",), "is not in S3_ALLOWED_BUCKETS"),
        ("uploads2", "a/1.jpg", ("uploads",), "is not in S3_ALLOWED_BUCKETS"),
        ("upload", "s/a/1.jpg", ("uploads",), "is not in S3_ALLOWED_BUCKETS"),
        ("uploads", "b/1.jpg", ("uploads/a",), "is not in S3_ALLOWED_BUCKETS"),
        ("uploads", "A/1.jpg", ("uploads/a",), "is not in S3_ALLOWED_BUCKETS"),
        ("uploads", "a/../b/1.jpg", ("uploads/a",), "has a step .. that leads out"),
        ("uploads", "../private/1.jpg", ("uploads",), "has a step .. that leads out"),
    ],
)
def test_only_listed_buckets_are_read(
    bucket: str, key: str, listed: tuple[str, ...], says: str
) -> None:
    """A prefix ends at a slash; the reason is the true one."""
    with pytest.raises(JobFailed, match=says) as raised:
        check_allowed(ImageReference(bucket, key), listed)
    assert raised.value.code == "image_forbidden"


@pytest.mark.parametrize("bucket", [".", ".."])
def test_a_step_is_no_bucket(bucket: str) -> None:
    """No request is made that leads elsewhere on the endpoint."""
    with pytest.raises(JobFailed, match="no bucket has this name") as raised:
        check_allowed(ImageReference(bucket, "1.jpg"), ())
    assert raised.value.code == "image_not_found"
