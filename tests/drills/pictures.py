"""`python -m tests.drills.pictures`: the dashboard's queries, asked of what a drill has recorded.

Draws each panel of the dashboard for one line and one span of time into a PNG, and names queries
that gave nothing.
"""

import asyncio
import re
import time
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.drills.prometheus import OWN_JOB, Prometheus
from tests.support.dashboard import Query, panels, queries

mpl.use("Agg")
STEP_SECONDS = 15.0
_COLUMNS, _UNIT_INCHES = 24, 0.62


async def draw(
    prometheus: Prometheus, line: str, *, begin: float, end: float, title: str, picture: Path
) -> list[str]:
    """Draw the dashboard; give the queries without an answer."""
    silent = []
    places = {panel["title"]: panel for panel in panels()}
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels())
    figure = Figure(figsize=(_COLUMNS * _UNIT_INCHES, rows * _UNIT_INCHES), dpi=70)
    axes: dict[str, Axes] = {}
    for query in queries(rate="1m"):
        asked = query.expression.replace(f'job="{OWN_JOB}"', f'job="{line}"')
        series = await prometheus.query_range(asked, begin=begin, end=end, step=STEP_SECONDS)
        if not series:
            silent.append(f"{query.panel}: {query.expression}")
        if query.panel not in axes:
            axes[query.panel] = _place(figure, places[query.panel], rows)
        _plot(axes[query.panel], query, series, begin)
    for panel in panels():
        if panel["type"] == "row":
            figure.text(0.01, 1 - (panel["gridPos"]["y"] + 0.7) / rows, panel["title"], size=13)
    figure.suptitle(title, x=0.6, y=0.998, size=13)
    figure.savefig(picture)
    return silent


def _place(figure: Figure, panel: dict[str, Any], rows: int) -> Axes:
    at = panel["gridPos"]
    width, height = at["w"] / _COLUMNS, at["h"] / rows
    left, bottom = at["x"] / _COLUMNS, 1 - (at["y"] + at["h"]) / rows
    axes = figure.add_axes((left + 0.025, bottom + 0.011, width - 0.035, height - 0.024))
    axes.set_title(panel["title"], size=8, loc="left")
    axes.tick_params(labelsize=6)
    if panel["type"] != "timeseries":
        axes.set_axis_off()
    return axes


def _plot(axes: Axes, query: Query, series: list[dict[str, Any]], begin: float) -> None:
    for number, one in enumerate(series):
        name = _legend(query.legend, one["metric"])
        points = [(float(at), float(value)) for at, value in one["values"]]
        if query.kind == "timeseries":
            minutes = [(at - begin) / 60 for at, _ in points]
            axes.plot(minutes, [value for _, value in points], label=name, linewidth=1)
            axes.legend(fontsize=5, loc="upper left")
        else:
            shown = f"{name}: {points[-1][1]:g}"
            axes.text(0.02, 0.75 - 0.22 * number, shown, size=9, transform=axes.transAxes)


def _legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template)


def main(
    folder: Annotated[Path, typer.Argument(help="What `python -m tests.drills` has kept.")],
    line: Annotated[str, typer.Option(help="The line's name there.")] = "healthy",
    title: Annotated[str, typer.Option(help="Over the picture.")] = "",
    minutes: Annotated[float, typer.Option(help="How much time is drawn.")] = 20,
    until: Annotated[float | None, typer.Option(help="Unix time of its end; none: now.")] = None,
    picture: Annotated[Path, typer.Option(help="The file.")] = Path("dashboard.png"),
) -> None:
    """Draw the dashboard for a line and a span of time."""
    end = until or time.time()
    prometheus = Prometheus(folder)
    try:
        silent = asyncio.run(
            draw(
                prometheus,
                line,
                begin=end - 60 * minutes,
                end=end,
                title=title or line,
                picture=picture,
            )
        )
    finally:
        prometheus.stop()
    for query in silent:
        print(f"no answer: {query}")


if __name__ == "__main__":
    typer.run(main)
