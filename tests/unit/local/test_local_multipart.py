"""A form taken apart is what its sender put together."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_tools.local.mask_asset.multipart import read_form

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)


@given(
    fields=st.dictionaries(NAMES.map("field_".__add__), st.text(max_size=40), max_size=4),
    files=st.dictionaries(NAMES.map("file_".__add__), st.binary(max_size=200), max_size=4),
)
def test_what_httpx_sends_is_read(fields: dict[str, str], files: dict[str, bytes]) -> None:
    """Any text and any bytes, empty ones and those with line ends and dashes too."""
    request = httpx.Request(
        "POST",
        "http://here",
        data=fields,
        files={"last": ("last", b"--\r\n"), **{name: (name, b) for name, b in files.items()}},
    )
    form = read_form(request.headers["Content-Type"], request.read())
    assert form.fields == fields
    assert form.files == {"last": b"--\r\n", **files}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nno name\r\n\r\nv\r\n--x--"),
        ("multipart/form-data; boundary=x", b'--x\r\nname="n"\r\n\r\ncut off'),
        ("multipart/form-data; boundary=x", b'--x\r\nname="n"\r\n\r\n\xff\r\n--x--'),
    ],
)
def test_what_is_no_whole_form_is_a_value_error(content_type: str, body: bytes) -> None:
    """Never half a form."""
    with pytest.raises(ValueError):  # noqa: PT011 - each case has words of its own
        read_form(content_type, body)
