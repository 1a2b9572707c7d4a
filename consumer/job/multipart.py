"""A form with files, as bytes: built once a job, however often it is sent."""

import secrets
from collections.abc import Mapping

from schemas.callback import FILE_TYPE, file_name


def encode_form(fields: Mapping[str, str], files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Build a multipart/form-data body; return its content type and its bytes.

    `files` are PNGs by output name. Names are identifiers of ours. A field's value may be any
    text, since the boundary can't be guessed.
    """
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, text in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        parts.append(head.encode())
    for name, content in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}";'
            f' filename="{file_name(name)}"\r\nContent-Type: {FILE_TYPE}\r\n\r\n'
        )
        parts += (head.encode(), content, b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)
