"""Pictures as SVG, made on the server from plain values: for pages, reports, mails.

Each function takes values and gives a `Svg`, a text that templates put into a page as it is (`{{ picture }}`): all
of it is escaped, it has no script, no `style`, no id, and the same values give the same bytes. Looks come by
classes from one stylesheet, which a page links once; where there is none, `standalone` writes them in::

    from trikk.charts import RunBar, run_bars, stylesheet

    picture = run_bars([RunBar(61.0, "succeeded", href="/runs/a", title="a: 1 min")], "the last run of nightly")

======================================  =====================================================================
small, for overviews                    `run_bars(bars, label)`, `sparkline(values, label)`
figures over time                       `line_chart(Lines(label, [Series(...)], thresholds=..., events=...))`
values against values                   `dot_chart([Dot(x, y)], label)`
tables of values                        `heat_map(HeatMap(label, rows, columns, cells))`
features, distributions, comparisons    `ranked_bars(bars, label)`, `distribution_chart(bins, label)`,
                                        `interval_plot(intervals, label)`
the course of a run                     `step_lanes([StepLane(name, [Attempt(phases, state)])], label)`
pipelines and lineage                   `graph_drawing(nodes, edges, label)`
the rules that all of them need         `stylesheet()`: colours are there for the rest of the page, too, as
                                        `var(--chart-failed)`; a role's literal colour is `colour(role)`
mails, PDF, pictures                    `standalone(picture)`, light; `standalone(picture, DARK)`
======================================  =====================================================================

Things to know:

- `label` is the picture in words, for those who do not see it: say what it comes to, not "a chart".
- A mark with `href` is a link, one with `title` shows it where one points at it. Addresses are those of the own
  server or of the web; anything else raises ValueError.
- Moments are seconds since 1970, shown in `zone`. Units "s" (seconds), "%" (of one) and "B" (bytes) are written
  as people read them: "15 min", "40%", "1.2 MB".
- States are those of runs and steps; one that this build does not know is drawn as if it were queued.
- Pictures are as wide as `width` says and shrink with their page, text and all: at half its width a picture's
  letters are 5 px high. For pages of 360 px draw it no wider than 480, or let its box scroll. Graphs never shrink.
- Nothing here reads a clock, a file or a setting.
"""

from __future__ import annotations

from trikk.charts.bar_charts import Bar, Bin, distribution_chart, ranked_bars
from trikk.charts.dot_chart import Dot, dot_chart
from trikk.charts.drawing.marks import Svg
from trikk.charts.drawing.roles import DARK, LIGHT, colour, standalone, stylesheet
from trikk.charts.graphs.graph_drawing import GraphEdge, GraphNode, graph_drawing
from trikk.charts.heat_map import Cell, HeatMap, heat_map
from trikk.charts.interval_plot import Interval, interval_plot
from trikk.charts.line_chart import Event, Lane, Lines, Point, Series, Span, Threshold, Window, line_chart
from trikk.charts.run_bars import RunBar, run_bars, sparkline
from trikk.charts.state_icons import STATES
from trikk.charts.step_lanes import Attempt, Phase, StepLane, step_lanes

__all__ = [
    "DARK",
    "LIGHT",
    "STATES",
    "Attempt",
    "Bar",
    "Bin",
    "Cell",
    "Dot",
    "Event",
    "GraphEdge",
    "GraphNode",
    "HeatMap",
    "Interval",
    "Lane",
    "Lines",
    "Phase",
    "Point",
    "RunBar",
    "Series",
    "Span",
    "StepLane",
    "Svg",
    "Threshold",
    "Window",
    "colour",
    "distribution_chart",
    "dot_chart",
    "graph_drawing",
    "heat_map",
    "interval_plot",
    "line_chart",
    "ranked_bars",
    "run_bars",
    "sparkline",
    "standalone",
    "step_lanes",
    "stylesheet",
]
