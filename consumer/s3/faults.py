"""What an error of S3 means: for the one photo, or for the whole line.

Where it isn't known whose fault an answer is, it counts as the photo's: one photo must never stop
the line, and `DEAD_LETTER_LIMIT` stops a line that would throw all of them away.
"""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointProviderError,
    ParamValidationError,
)
from urllib3.exceptions import HTTPError

from consumer.backoff import parse_retry_after
from consumer.errors import JobFailed, Unavailable
from schemas.job import ImageReference

OUR_CREDENTIALS = frozenset({
    "AccountProblem",
    "AuthFailure",
    "AuthorizationHeaderMalformed",  # also: signed for another region
    "AuthorizationQueryParametersError",
    "CredentialsNotSupported",
    "ExpiredToken",
    "ExpiredTokenException",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidRegion",
    "InvalidSecurity",
    "InvalidToken",
    "InvalidTokenId",
    "MissingAuthenticationToken",
    "MissingSecurityHeader",
    "NotSignedUp",
    "PermanentRedirect",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TemporaryRedirect",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
    "XAdminUserNotFound",  # versitygw's, with 404, for an unknown access key
})  # fmt: skip
"""S3 refuses us, whatever we ask for: a person must mend the settings."""

BUSY = frozenset({
    "BandwidthLimitExceeded",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServerBusy",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
})  # fmt: skip
"""S3 can't serve us now."""

_UNAVAILABLE_STATUS = frozenset({301, 302, 307, 308, 401, 407, 408, 425, 429})
_THE_PHOTOS = (ParamValidationError, EndpointProviderError)
"""No request can be made for a bucket or key of that name."""


def fault(
    error: BotoCoreError | ClientError | HTTPError, reference: ImageReference
) -> JobFailed | Unavailable:
    """Give what an error of botocore means, or of urllib3 below it."""
    if isinstance(error, ClientError):
        return _answer(error, reference)
    if isinstance(error, _THE_PHOTOS):
        return JobFailed("image_not_found", f"{reference}: {error}", stage="fetch")
    # All else that isn't S3's answer: no connection, no credentials, half a body.
    return Unavailable("storage_unavailable", f"S3: {type(error).__name__}: {error}", stage="fetch")


def _answer(error: ClientError, reference: ImageReference) -> JobFailed | Unavailable:
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", ""))
    meta = error.response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    answer = f"S3 answered {status} {code}: {text}"[:500]
    if code in OUR_CREDENTIALS | BUSY or status in _UNAVAILABLE_STATUS or not 300 <= status < 500:
        return Unavailable(
            "storage_unavailable",
            answer,
            stage="fetch",
            retry_after=parse_retry_after(meta.get("HTTPHeaders", {}).get("retry-after")),
        )
    if status == 403:
        return JobFailed("image_forbidden", f"{reference}: {answer}", stage="fetch")
    return JobFailed("image_not_found", f"{reference}: {answer}", stage="fetch")
