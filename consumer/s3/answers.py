"""What an answer that isn't the photo means: for the one photo, or for the whole line.

Only S3's own error document, with a code that says so, speaks of a photo. Where a code isn't known,
or the answer isn't S3's, it may be either's: the line holds, and `consumer/job/photo.py` bounds it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree

from consumer.backoff import parse_retry_after
from consumer.errors import JobFailed, Unavailable
from schemas.job import ImageReference
from schemas.status import ErrorCode

DOCUMENT_BYTES = 64 * 1024
_SHOWN = 400

_OF_THE_PHOTO: Mapping[str, ErrorCode] = {
    **dict.fromkeys(
        (
            "NoSuchKey",
            "NoSuchBucket",
            "NoSuchVersion",
            "NoSuchObject",
            "InvalidBucketName",
            "InvalidObjectName",
            "InvalidURI",
            "KeyTooLong",
            "KeyTooLongError",
            "ExistingObjectIsDirectory",  # stores that keep objects as files
            "ObjectParentIsFile",
            "XMinioInvalidObjectName",
            "XMinioInvalidResourceName",
            "XMinioObjectExistsAsDirectory",
        ),
        "image_not_found",
    ),
    **dict.fromkeys(
        (
            "AccessDenied",
            "AccessForbidden",
            "InvalidObjectState",  # archived
        ),
        "image_forbidden",
    ),
}

_OF_THE_VERSION = frozenset({"InvalidArgument", "InvalidVersionId", "MethodNotAllowed"})
"""About the photo where a version was asked for: no version's id, or that of a delete marker."""

_OF_OUR_KEYS = re.compile(
    r"""
    access_?key | account | arrear | ^auth(?!orization_?header) | balance | credential | expired
    | not_?signed | opt_?in | payer | payment | security | skew | suspend | token
    | unauthori[sz]ed | unrecogni[sz]ed_?client | user
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BUSY = re.compile(
    r"""
    aborted | backend | backlog | bandwidth | busy | exceed | in_?progress | initiali[sz]ed
    | internal | limit | maintenance | not_?complete | not_?ready | offline | overload | quota
    | reduce | slow_?down | throttl | time_?out | too_?many | unavailable
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Codes by what they have in common: SDKs and stores have dozens of names for the same."""

_KEYS_STATUS = frozenset({401, 407, 511})
_BUSY_STATUS = frozenset({408, 425, 429})


class ObjectUnavailable(Unavailable):
    """S3 doesn't give this one object. Where it gives others, the trouble is the object's own."""


class KeysRefused(Unavailable):
    """S3 refuses our keys, whatever we ask for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that isn't the photo."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Its first `DOCUMENT_BYTES`."""


def meaning(answer: Answer, reference: ImageReference) -> JobFailed | Unavailable:
    """Say whose fault it is that this isn't the photo."""
    code, text = _read_document(answer.body)
    if code is None:
        shown = _foreign(answer)
    else:
        shown = f"S3 answered {answer.status} {code}: {text}"[:_SHOWN]
        of_the_photo = _OF_THE_PHOTO.get(code)
        if reference.version_id is not None and code in _OF_THE_VERSION:
            of_the_photo = "image_not_found"
        if of_the_photo is not None and 400 <= answer.status < 500:
            return JobFailed(of_the_photo, f"{reference}: {shown}", stage="fetch")
    return _kind(answer.status, code)(
        "storage_unavailable",
        _without_key(shown, reference),
        stage="fetch",
        retry_after=parse_retry_after(answer.headers.get("retry-after")),
    )


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether a 200 is a page for people, from something between us and S3, and no object.

    An object may be a page, too: then S3 gives it with its entity tag.
    """
    of_s3 = "etag" in headers or "x-amz-request-id" in headers
    return not of_s3 and headers.get("content-type", "").lower().startswith("text/html")


def _kind(status: int, code: str | None) -> type[Unavailable]:
    if status in _KEYS_STATUS or (code is not None and _OF_OUR_KEYS.search(code)):
        return KeysRefused
    if status in _BUSY_STATUS or status >= 500 or (code is not None and _BUSY.search(code)):
        return Unavailable
    return ObjectUnavailable


def _read_document(body: bytes) -> tuple[str | None, str]:
    """Read code and message of S3's error document; no code where it isn't one."""
    if len(body) >= DOCUMENT_BYTES or b"<!" in body:  # S3 declares no entities
        return None, ""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  # small, and without entities
    except (ElementTree.ParseError, ValueError, LookupError):
        return None, ""
    if _name(root) != "Error":
        return None, ""
    found = {_name(child): (child.text or "").strip() for child in root}
    return found.get("Code") or None, found.get("Message", "")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _foreign(answer: Answer) -> str:
    text = " ".join(answer.body[:_SHOWN].decode(errors="replace").split())[:100]
    return f"an answer that isn't S3's: {answer.status} {text!r}"


def _without_key(text: str, reference: ImageReference) -> str:
    """Leave out the photo's key, which `/readyz` must not show; an answer may repeat it."""
    for key in (reference.key, quote(reference.key)):
        if len(key) >= 4:
            text = text.replace(key, "(key)")
    return text
