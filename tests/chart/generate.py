"""Writes what the chart has of its values and of the product's settings: schema and README.

Run it as `python -m tests.chart.generate`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chart.schema import phrase, schema
from tests.chart.settings import Setting, settings
from tests.chart.values import CHART, values


def generated() -> dict[Path, str]:
    """Make each generated file's content."""
    template = (CHART / "README.template.md").read_text()
    tables = {
        "values": "\n".join(_values()),
        "config": "\n".join(_config()),
        "secrets": "\n".join(_secrets()),
    }
    for name, table in tables.items():
        template = template.replace(f"<!-- {name} -->", table)
    return {
        CHART / "values.schema.json": json.dumps(schema(), indent=1) + "\n",
        CHART / "README.md": template,
    }


def _values() -> Iterator[str]:
    yield "| value | default | meaning |"
    yield "|---|---|---|"
    for value in values():
        yield f"| `{value.name}` | {_shown(value.default)} | {value.sentence} |"


def _config() -> Iterator[str]:
    yield "| setting | may be | meaning |"
    yield "|---|---|---|"
    for setting in _named(secret=False):
        yield f"| `{setting.name}` | {phrase(setting.rule)} | {setting.sentence} |"


def _secrets() -> Iterator[str]:
    yield "| key | meaning |"
    yield "|---|---|"
    for setting in _named(secret=True):
        yield f"| `{setting.name.lower()}` | {setting.sentence} |"


def _named(*, secret: bool) -> list[Setting]:
    return [setting for setting in settings() if setting.secret == secret]


def _shown(default: Any) -> str:
    return "" if default == "" else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
