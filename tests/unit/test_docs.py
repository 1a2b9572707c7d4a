"""The docs name what there is: links, settings, metrics, decisions."""

import re
from pathlib import Path

from consumer.settings import (
    CallbackSettings,
    GatewaySettings,
    ImageSettings,
    KafkaSettings,
    LineSettings,
    ModelSettings,
    S3Settings,
    ServingSettings,
    TracingSettings,
    ViewSettings,
)
from consumer.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
OPERATING = (ROOT / "docs/operating.md").read_text()
GROUPS = (
    KafkaSettings,
    S3Settings,
    LineSettings,
    ModelSettings,
    ImageSettings,
    CallbackSettings,
    ServingSettings,
    TracingSettings,
    ViewSettings,
    GatewaySettings,
)


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert [] == broken


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    pages = {page.name for page in (ROOT / "docs/adr").glob("[0-9]*.md")}
    assert pages == set(re.findall(r"\((\d{4}-[^)]+)\)", index))


def test_the_table_of_settings_has_each_setting() -> None:
    settings = {name.upper() for group in GROUPS for name in group.model_fields}
    named = set(
        re.findall(
            r"`([A-Z][A-Z0-9_]+)`", _section("Settings").partition("\n\n`maskline consume`")[0]
        )
    )
    values = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", "PLAIN", "OAUTHBEARER", "INFO"}
    assert settings | {"SECRETS_DIR"} == named - values


def test_the_table_of_settings_has_each_default() -> None:
    defaults = {
        name.upper(): field.get_default()
        for group in GROUPS
        for name, field in group.model_fields.items()
        if not field.is_required() and field.get_default() not in (None, ())
    }
    rows = {name: f"| `{name}` | `{_text(default)}` |" for name, default in defaults.items()}
    assert [] == [row for row in rows.values() if row not in OPERATING]


def test_the_table_of_metrics_has_each_metric() -> None:
    named = set(re.findall(r"`(mask_[a-z_]+)", _section("Metrics")))
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().registry.collect()
    }
    assert {name for name in families if not name.startswith("mask_process_")} == {
        name for name in named if not name.startswith("mask_process_")
    }


def _section(title: str) -> str:
    return OPERATING.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _text(default: object) -> str:
    return ",".join(default) if isinstance(default, tuple) else f"{default}"
