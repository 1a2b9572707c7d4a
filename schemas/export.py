"""Writes the message contract to files. The same models always give the same bytes."""

import json
from pathlib import Path

from schemas.asyncapi import asyncapi
from schemas.json_schema import MESSAGES, Schema, message_schema
from schemas.message_page import message_page

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "schemas" / "generated"
PAGE = ROOT / "docs" / "messages.md"


def export(directory: Path) -> list[Path]:
    """Write a JSON Schema for each message, and `asyncapi.json`. Return the paths."""
    documents = {f"{message.name}.schema.json": message_schema(message) for message in MESSAGES}
    documents["asyncapi.json"] = asyncapi()
    directory.mkdir(parents=True, exist_ok=True)
    return [_write(directory / name, _text(document)) for name, document in documents.items()]


def export_page(path: Path) -> Path:
    """Write the page that documents the messages, in Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _write(path, message_page())


def _text(document: Schema) -> str:
    """Format a document so that people can read it and compare it line by line."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> Path:
    """Write UTF-8 with the line ends of Unix on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


if __name__ == "__main__":
    export(GENERATED)
    export_page(PAGE)
