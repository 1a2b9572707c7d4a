"""Where a photo lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.job import ImageReference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/k", ImageReference("b", "k")),
        ("minio://b/a/b.jpg", ImageReference("b", "a/b.jpg")),
        ("s3://b/a%20b%2Fc", ImageReference("b", "a b/c")),
        ("s3://b/%2520", ImageReference("b", "%20")),
        ("s3://b/a+b", ImageReference("b", "a+b")),
        ("s3://b/%3Fq", ImageReference("b", "?q")),
        ("s3://b/a#b", ImageReference("b", "a#b")),
        ("s3://b/100%.jpg", ImageReference("b", "100%.jpg")),
        ("s3://b//k", ImageReference("b", "/k")),
        ("s3://b/f%C3%B6.jpg", ImageReference("b", "fö.jpg")),
        ("s3://b/fö.jpg", ImageReference("b", "fö.jpg")),
        ("s3://b/k?versionId=a%2Bb", ImageReference("b", "k", "a+b")),
    ],
)
def test_reference_is_read(text: str, expected: ImageReference) -> None:
    """The key is decoded once; everything after the bucket and before a ? belongs to it."""
    assert expected == ImageReference.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b/k",
        "S3://b/k",
        "file:///etc/passwd",
        "s3://b",
        "s3://b#/k",
        "s3://b:80/k",
        "s3://arn:aws:s3/k",
        "s3://é/k",
        "s3://b/?versionId=1",
        "s3://b/k?versionid=1",
        "s3://b/k?versionId=1?versionId=2",
        "s3://b/k?versionId=%00",
        "s3://b/\ud800",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A reference that could be meant in two ways is none."""
    with pytest.raises(ValueError, match=r"."):
        ImageReference.parse(text)


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=250)


@given(NAMES, st.none() | NAMES)
def test_written_reference_reads_back(key: str, version: str | None) -> None:
    """Any key that S3 can hold survives."""
    reference = ImageReference("bucket", key, version)
    assert reference == ImageReference.parse(str(reference))
