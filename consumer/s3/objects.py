"""Objects of S3: a signed GET of one, in a thread, and its bytes."""

from collections.abc import Mapping
from http.client import HTTPResponse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import get_cert_path

from consumer.errors import JobFailed, StartError, Unavailable
from consumer.s3.answers import DOCUMENT_BYTES, Answer, ObjectUnavailable, is_page, meaning
from consumer.s3.connections import Connections, Deadline, Overdue, Unreachable
from consumer.s3.endpoint import Endpoint, Location
from consumer.settings import S3Settings
from schemas.job import ImageReference


class Objects:
    """Reads objects from the one endpoint. Its methods block: call them in threads."""

    def __init__(self, settings: S3Settings, *, max_bytes: int, connections: int) -> None:
        """Read the CA file; keep so many idle connections.

        Raises:
            StartError: `AWS_CA_BUNDLE` has no certificates.
        """
        self._region = settings.s3_region
        self._deadline_seconds = settings.fetch_deadline_seconds
        self._max_bytes = max_bytes
        self._endpoint = Endpoint.of(settings)
        bundle = settings.aws_ca_bundle
        try:
            self._connections = Connections(
                ca_file=str(bundle or get_cert_path(True)), at_most=connections
            )
        except OSError as error:
            raise StartError(
                f"AWS_CA_BUNDLE={str(bundle)!r} can't be used: {error}", exit_code=2
            ) from error

    def read(
        self,
        reference: ImageReference,
        *,
        keys: ReadOnlyCredentials,
        deadline: Deadline,
        first_bytes: int | None = None,
    ) -> bytes:
        """Read an object, or its `first_bytes` alone, trying once.

        Raises:
            JobFailed: `image_not_found`, `image_forbidden` or `image_too_large`.
            Unavailable: S3 is down, or refuses our keys; `ObjectUnavailable` where that may be so
                of this object only.
        """
        try:
            location = self._endpoint.locate(reference)
            headers = self._headers(location, keys, first_bytes)
            with self._connections.get(location, headers, deadline) as response:
                return self._body(response, reference, partial=first_bytes is not None)
        except (JobFailed, Unavailable):
            raise
        except Unreachable as error:
            raise Unavailable("storage_unavailable", f"S3: {error}", stage="fetch") from error
        except Overdue as error:
            raise overdue(self._deadline_seconds) from error
        except Exception as error:  # whatever it is, S3 has not given the photo
            raise _broken_off(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def _headers(
        self, location: Location, keys: ReadOnlyCredentials, first_bytes: int | None
    ) -> Mapping[str, str]:
        headers = {"Host": location.authority, "User-Agent": "maskline"}
        if first_bytes is not None:
            headers["Range"] = f"bytes=0-{first_bytes - 1}"
        request = AWSRequest("GET", location.url, headers)
        S3SigV4Auth(keys, "s3", self._region).add_auth(request)
        return dict(request.headers.items())

    def _body(self, response: HTTPResponse, reference: ImageReference, *, partial: bool) -> bytes:
        headers = {name.lower(): value for name, value in response.getheaders()}
        is_object = response.status == 200 or (partial and response.status == 206)
        if not is_object or is_page(headers):
            document = response.read(DOCUMENT_BYTES)
            raise meaning(Answer(response.status, headers, document), reference)
        promised = response.length
        if promised is not None:
            self._check_size(promised, reference)
        photo = response.read(self._max_bytes + 1)
        if promised is not None and len(photo) < promised:
            raise _broken_off(f"{len(photo)} of {promised} bytes came")
        self._check_size(len(photo), reference)
        return photo

    def _check_size(self, size: int, reference: ImageReference) -> None:
        if size > self._max_bytes:
            raise JobFailed(
                "image_too_large",
                f"{reference} has {size} bytes or more, MAX_IMAGE_BYTES is {self._max_bytes}",
                stage="fetch",
            )


def overdue(seconds: float) -> ObjectUnavailable:
    """Say that a fetch has taken longer than it may."""
    return ObjectUnavailable(
        "storage_unavailable",
        f"S3 gave no photo within {seconds:g} s (FETCH_DEADLINE_SECONDS)",
        stage="fetch",
    )


def _broken_off(how: str) -> ObjectUnavailable:
    return ObjectUnavailable(
        "storage_unavailable", f"S3's answer broke off: {how}"[:500], stage="fetch"
    )
