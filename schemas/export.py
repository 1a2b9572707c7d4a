"""The contract written to files, for programs and for people; the same bytes every time."""

import json
from pathlib import Path
from typing import Final

from schemas.asyncapi import asyncapi
from schemas.json_schema import MESSAGES, Schema, message_schema
from schemas.message_page import message_page

ROOT: Final = Path(__file__).parent.parent
GENERATED: Final = ROOT / "schemas" / "generated"
PAGE: Final = ROOT / "docs" / "messages.md"


def export(directory: Path) -> list[Path]:
    """Write a JSON Schema for each message and `asyncapi.json`; give the files written."""
    documents = {f"{message.name}.schema.json": message_schema(message) for message in MESSAGES}
    documents["asyncapi.json"] = asyncapi()
    directory.mkdir(parents=True, exist_ok=True)
    return [_write(directory / name, _text(document)) for name, document in documents.items()]


def export_page(path: Path) -> Path:
    """Write the message contract for people, in Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _write(path, message_page())


def _text(document: Schema) -> str:
    """Lay a document out for reading and for line-by-line comparison."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> Path:
    """Write UTF-8 with plain line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


if __name__ == "__main__":
    export(GENERATED)
    export_page(PAGE)
