"""The log of a consumer as entries; no code of the product is used."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def read_entries(log: bytes) -> list[dict[str, Any]]:
    """Read the entries of a log; lines that are no JSON, or cut short, are left out."""
    entries = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "event" in entry:
            entries.append(entry)
    return entries


def logged_at(entry: Mapping[str, Any]) -> float:
    """When an entry was logged, in Unix seconds."""
    return datetime.fromisoformat(entry["timestamp"]).timestamp()
