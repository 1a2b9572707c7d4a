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
        if query.panel not in axes:
            axes[query.panel] = _place(figure, places[query.panel], rows)
        if query.kind == "timeseries":
            series = await prometheus.query_range(asked, begin=begin, end=end, step=STEP_SECONDS)
            _plot(axes[query.panel], query, series, begin)
        else:
            series = await prometheus.query(asked, at=end)
            _show(axes[query.panel], query, series)
        if not series:
            silent.append(f"{query.panel}: {query.expression}")
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
    for one in series:
        name = _legend(query.legend, one["metric"])
        minutes = [(float(at) - begin) / 60 for at, _ in one["values"]]
        values = [float(value) for _, value in one["values"]]
        axes.plot(minutes, values, label=name, linewidth=1)
        axes.legend(fontsize=5, loc="upper left")


def _show(axes: Axes, query: Query, series: list[dict[str, Any]]) -> None:
    """Show values as tiles, coloured as Grafana colours them."""
    for number, one in enumerate(series):
        value = float(one["value"][1])
        colour = [colour for least, colour in query.steps if value >= least][-1:] or ["white"]
        shown = f"{_legend(query.legend, one['metric'])} {value:g}"[:44]
        axes.text(
            0.02,
            0.7 - 0.3 * number,
            shown,
            size=10,
            transform=axes.transAxes,
            bbox={"facecolor": colour[0], "alpha": 0.5, "pad": 4},
        )


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
