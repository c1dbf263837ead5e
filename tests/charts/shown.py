"""Pictures of every kind, with all that users could have written into them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from trikk.charts import (
    Attempt,
    Bar,
    Bin,
    Cell,
    Dot,
    Event,
    GraphEdge,
    GraphNode,
    HeatMap,
    Interval,
    Lane,
    Lines,
    Phase,
    Point,
    RunBar,
    Series,
    Span,
    StepLane,
    Svg,
    Threshold,
    Window,
    distribution_chart,
    dot_chart,
    graph_drawing,
    heat_map,
    interval_plot,
    line_chart,
    ranked_bars,
    run_bars,
    sparkline,
    step_lanes,
)
from trikk.charts.state_icons import STATES

EVIL = '</svg><script>alert(\'1\')</script>" onload="x\x1b[31m & class="line'
DAY = 86400.0


def pictures(words: str = EVIL) -> dict[str, Svg]:
    """One of each kind, in which every text is `words`."""
    link = {"href": f"/runs?name={words}", "title": words}
    points = [Point(i * DAY, None if i == 3 else i, i - 1.0, i + 1.0, note=words, **link) for i in range(9)]
    points += [Point((9 + i) * DAY, 4.0, state=s, **link) for i, s in enumerate(("partial", "pending", "overdue"))]
    points.append(Point(12 * DAY, 5.0, state="restated"))
    lines = Lines(
        words,
        [Series(words, points), Series(words, points[:3], "baseline", dashed=True)],
        title=words,
        unit=words,
        zone=ZoneInfo("Europe/Oslo"),
        thresholds=[Threshold(4.0, words)],
        windows=[
            Window(i * DAY, (i + 1) * DAY, s, **link) for i, s in enumerate(("pending", "overdue", "missing"))
        ],
        events=[Event(2 * DAY, words, **link)],
        events_name=words,
        lanes=[Lane(words, [Span(DAY, 3 * DAY, **link)])],
    )
    phases = [
        Phase(kind, i, i + 1.0) for i, kind in enumerate(("waiting", "loading", "working", "storing", "new"))
    ]
    nodes = [
        GraphNode(f"{kind}{state}", words, kind, state, words, {"failed": 2} if kind == "step" else {}, **link)
        for kind in ("step", "table", "model", "gate", "question", "stream")
        for state in ("", *STATES)
    ]
    edges = [
        GraphEdge(a.key, b.key, dashed=i % 2 == 0) for i, (a, b) in enumerate(zip(nodes, nodes[2:], strict=False))
    ]
    dots = [Dot(i * DAY, 60.0 * 30**i, s, **link) for i, s in enumerate((*STATES, "a later state", ""))]
    cells = [
        [
            Cell(v, words, scale, strong=v == 2.0, **link)
            for v, scale in zip((None, 0.0, 1.0, 2.0), ("heat", "miss", "some", "heat"), strict=True)
        ]
    ] * 2
    return {
        "dots": dot_chart(dots, words, title=words, x_title=words, y_title=words),
        "many dots": dot_chart([Dot(i, i % 37 - 5.0) for i in range(2000)], words),
        "no dots": dot_chart([], words),
        "heat": heat_map(HeatMap(words, [words] * 2, [words] * 4, cells, words, words, words)),
        "narrow": heat_map(HeatMap(words, ["a"], ["1"], [[Cell(1.0, "5")]]), width=90),
        "bars": ranked_bars([Bar(words, v, **link) for v in (2.0, 0.0, -1.0)], words, title=words),
        "bins": distribution_chart([Bin(words, 0.1, 0.2, **link), Bin("b", 0.0, 0.4)], words, title=words),
        "intervals": interval_plot(
            [Interval(words, -1.0, -2.0, 0.5, **link)], words, title=words, unit=words, sides=(words, "")
        ),
        "runs": run_bars([RunBar(i, s, **link) for i, s in enumerate((*STATES, "a later state"))], words),
        "spark": sparkline([1.0, None, 3.0], words, baseline=[2.0, 2.0, 2.0], **link),
        "lines": line_chart(lines),
        "names": line_chart(Lines(words, [Series(words, [Point(0, 1.0)])], names=[words], log=True)),
        "nothing": line_chart(Lines(words)),
        "lanes": step_lanes([StepLane(words, [Attempt(phases, s, **link) for s in STATES], "/steps/a")], words),
        "graph": graph_drawing(nodes, edges, words),
        "turned": graph_drawing(nodes, [*edges, GraphEdge(nodes[-1].key, nodes[0].key)], words),
    }
