"""The dashboard's panels and their queries, as Grafana would send them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parents[2] / "helm/maskline/files/dashboard.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel."""

    panel: str
    kind: str
    """The panel's: stat, timeseries or table."""
    unit: str
    expression: str
    legend: str
    steps: tuple[tuple[float, str], ...]
    """From which value on a tile has which colour."""


def panels() -> list[dict[str, Any]]:
    """Give every panel, rows included."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries(*, rate: str) -> list[Query]:
    """Give every query, with `rate` for Grafana's own interval."""
    return [
        Query(
            panel=panel["title"],
            kind=panel["type"],
            unit=panel["fieldConfig"]["defaults"]["unit"],
            expression=target["expr"].replace("$__rate_interval", rate),
            legend=target["legendFormat"],
            steps=tuple(
                (float("-inf") if step["value"] is None else step["value"], step["color"])
                for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", ())
            ),
        )
        for panel in panels()
        if panel["type"] != "row"
        for target in panel["targets"]
    ]
