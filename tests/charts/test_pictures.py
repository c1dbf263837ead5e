"""What holds for each picture: it is sound, safe, small, the same each time, and can stand alone."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from tests.charts.shown import EVIL, pictures

from trikk.charts import (
    DARK,
    Dot,
    Event,
    Lines,
    Point,
    RunBar,
    Series,
    Svg,
    colour,
    dot_chart,
    line_chart,
    run_bars,
    standalone,
    stylesheet,
)
from trikk.charts.drawing.glyph_widths import text_width
from trikk.charts.drawing.marks import linked, thinned
from trikk.charts.drawing.roles import COLOURS, SHAPES
from trikk.charts.rasterising.png_picture import png

NAMES = sorted(pictures())
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_sound_and_holds_nothing_that_a_policy_or_a_reader_refuses(name: str) -> None:
    picture = pictures()[name]
    assert picture == pictures()[name]
    root = ET.fromstring(picture)
    tags = {element.tag for element in root.iter()}
    assert tags <= {"svg", "g", "a", "title", "path", "rect", "circle", "text"}
    attributes = {attribute for element in root.iter() for attribute in element.attrib}
    assert not {a for a in attributes if a in {"style", "id"} or a.startswith("on")}
    assert root.get("role") == ("group" if "a" in tags else "img")
    assert "\\x1b[31m" in (root.get("aria-label") or ""), "what can't be seen is written out"
    classes = {word for element in root.iter() for word in (element.get("class") or "").split()}
    assert classes <= COLOURS.keys() | SHAPES.keys() | {"chart", "natural"}
    assert not re.search(r"\d\.\d\d", re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", picture)), (
        "places are of a tenth"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_that_stands_alone_has_literal_colours_and_its_texts_as_they_were(name: str) -> None:
    picture = pictures()[name]
    alone = ET.fromstring(standalone(picture))  # an attribute that came twice would not be read
    assert "class" not in {attribute for element in alone.iter() for attribute in element.attrib}
    texts = [element.text for element in ET.fromstring(picture).iter("text")]
    assert [element.text for element in alone.iter(f"{SVG}text")] == texts
    painted = [e for e in alone.iter() if e.tag.removeprefix(SVG) in ("path", "rect", "circle", "text")]
    assert painted[0].get("fill") == colour("ground")
    assert all(e.get("fill") for e in painted), "what has no fill would be black"
    assert colour("ground", DARK) in standalone(picture, DARK)


def test_texts_are_shown_as_they_were_written() -> None:
    picture = line_chart(Lines("label", [Series("<b> & 'x'", [Point(0, 1.0), Point(1, 2.0)])]))
    assert "<b> & 'x'" in [element.text for element in ET.fromstring(picture).iter("text")]
    assert EVIL not in picture


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", " vbscript:x"]
)
def test_a_mark_leads_to_no_script(href: str) -> None:
    with pytest.raises(ValueError, match="can't lead to"):
        linked("", "", href)


def test_a_mark_leads_to_the_server_or_the_web() -> None:
    for href in ("/runs/a:b", "runs/a", "?state=failed&at=10:00", "#a:b", "https://example.org"):
        assert linked("", "", href).startswith("<a ")


def test_the_stylesheet_gives_each_role_and_shape_in_light_and_dark() -> None:
    sheet = stylesheet()
    for role, shades in COLOURS.items():
        assert sheet.count(f"--chart-{role}:") == 3, "light; dark by the reader; dark by the page"
        assert all(re.fullmatch("#[0-9a-f]{6}", shade) for shade in shades)
    assert all(f".chart .{shape}{{" in sheet for shape in SHAPES)
    assert "@media screen and (prefers-color-scheme:dark)" in sheet, "print is light"
    assert not re.search(r"[@$](?!media)", sheet)


def contrast(first: str, second: str) -> float:
    def luminance(shade: str) -> float:
        parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


BEHIND = ("grid", "ground", "tile", "pending", "overdue", "overdue-hatch", "missing", "missing-hatch", "reference")
WRITTEN = ("ink", "soft", "event", "threshold", "better", "worse", "alarm", "warning", "failed", "succeeded")


@pytest.mark.parametrize("theme", [0, 1])
def test_marks_and_texts_can_be_told_from_the_ground(theme: int) -> None:
    ground = colour("ground", theme)
    marks = [role for role in COLOURS if role not in BEHIND and not role.startswith(("heat", "miss-", "some-"))]
    assert {role: c for role in marks if (c := contrast(colour(role, theme), ground)) < 3} == {}
    assert {role: c for role in WRITTEN if (c := contrast(colour(role, theme), ground)) < 4.5} == {}


@pytest.mark.parametrize("theme", [0, 1])
def test_numbers_can_be_read_on_each_step_of_a_heat_map(theme: int) -> None:
    for scale in ("heat", "miss", "some"):
        for step in range(7):
            written = colour("ground" if step >= 4 else "ink", theme)
            assert contrast(colour(f"{scale}-{step}", theme), written) >= 4.5, f"{scale}-{step}"


def test_a_line_of_many_points_is_as_small_as_one_of_few_and_keeps_its_peaks() -> None:
    places = [(i / 250, 50.0 + i % 7) for i in range(100_000)]
    places[23_456] = (93.824, 1.0)
    kept = thinned(places)
    assert len(kept) <= 4 * 401
    assert places[23_456] in kept
    assert kept[0] == places[0]
    assert kept[-1] == places[-1]
    points = [Point(60.0 * i, float(i % 97)) for i in range(20_000)]
    assert len(line_chart(Lines("many", [Series("a", points)]))) < 40_000


def test_many_dots_are_as_small_as_few_and_no_links() -> None:
    dots = [Dot(i, i * 7919 % 10_007, href="/a") for i in range(20_000)]
    picture = dot_chart(dots, "many")
    assert "<a " not in picture
    assert len(picture) < 150_000


def test_thirty_runs_are_a_few_kilobytes() -> None:
    bars = [RunBar(60.0 + i, "succeeded", f"/runs/nightly-{i:08}", "1 min 01 s, succeeded") for i in range(30)]
    assert len(run_bars(bars, "30 runs")) < 6_500


@pytest.mark.parametrize(
    "values", [[2.0, 2.1, 3.04, 2.2], [3.04, 2.0, 2.0], [1.0, 2.0, 3.04], [5.0] + [1.0] * 28 + [9.0]]
)
def test_a_note_stands_within_the_plot_and_over_no_line(values: list[float]) -> None:
    points = [Point(i, v, note="9.04" if v == max(values) else "") for i, v in enumerate(values)]
    others = [Point(i, v * 1.05) for i, v in enumerate(values)]
    lines = Lines(
        "a", [Series("a", points), Series("b", others, "baseline")], names=list(map(str, points)), zero=True
    )
    root = ET.fromstring(line_chart(lines, width=640))
    (note,) = [text for text in root.iter("text") if text.get("class") == "strong ink halo"]
    x, y, wide = float(note.get("x", 0)), float(note.get("y", 0)), text_width("9.04")
    left = x - {"end": wide, "middle": wide / 2}.get(note.get("text-anchor", ""), 0.0)
    assert 0 <= left <= 640 - wide
    for line in root.iter("path"):
        if (line.get("class") or "").startswith("line "):
            places = [tuple(map(float, place.split())) for place in line.get("d", "")[1:].split("L")]
            for (x1, y1), (x2, y2) in pairwise(places):
                for share in range(101):
                    at = x1 + (x2 - x1) * share / 100, y1 + (y2 - y1) * share / 100
                    assert not (left < at[0] < left + wide and y - 8 < at[1] < y + 1)


@pytest.mark.parametrize("count", [10, 2000])
def test_lines_that_mean_no_more_than_each_other_are_told_apart_by_forms(count: int) -> None:
    points = [Point(i * 60.0, float(i % 5)) for i in range(count)]
    series = [Series(f"step {k}", points, f"series-{k}") for k in range(1, 7)]
    root = ET.fromstring(line_chart(Lines("six", series)))
    forms = {}
    for k in range(1, 7):
        marks = [mark for mark in root.iter() if mark.get("class") == f"fill series-{k}"]
        assert min(8, count) < len(marks) <= 11, "some of its points, and its sample"
        forms[k] = {re.sub(r"^M[-\d. ]+", "", mark.get("d", mark.tag)) for mark in marks}
    assert all(len(form) == 1 for form in forms.values())
    assert len(set.union(*forms.values())) == 6


def test_a_point_between_two_gaps_is_a_dot_since_a_line_does_not_show_it() -> None:
    values = [1.0, None, 2.0, None, 3.0, 4.0]
    series = Series("a", [Point(i, v) for i, v in enumerate(values)], "baseline", dashed=True)
    picture = line_chart(Lines("a", [series], names=["a"] * 6))
    assert picture.count("<circle ") == 2
    assert picture.count('class="dashed baseline"/>') == 2, "the line, and its sample"


def test_a_picture_of_nothing_has_no_scale() -> None:
    picture = line_chart(Lines("a", [Series("a", [Point(i, None) for i in range(3)])], names=["x", "y", "z"]))
    texts = [text.text for text in ET.fromstring(picture).iter("text")]
    assert texts == ["no values", "x", "y", "z"]


def test_names_of_events_that_would_overlap_have_two_rows() -> None:
    points = [Point(i * 1000.0, 1.0) for i in range(100)]
    events = [Event(i * 1000.0, "a long name") for i in (0, 1, 2, 50)]
    root = ET.fromstring(line_chart(Lines("a", [Series("a", points)], events=events)))
    rows = [text.get("y") for text in root.iter("text") if text.get("class") == "small event"]
    assert len(rows) == 3
    assert len(set(rows)) == 2


def test_a_picture_as_pixels_has_its_texts_on_a_machine_without_fonts() -> None:
    resvg = pytest.importorskip("resvg_py")
    picture = line_chart(Lines("a", [Series("a", [Point(0, 1.0)])], title="Tāmaki Ωλ Жд \u2192"), width=300)
    without = picture.replace("Tāmaki Ωλ Жд \u2192", "")
    assert png(picture) == png(picture)
    assert png(picture) != png(Svg(without)), "the title can be seen"
    bare = {"skip_system_fonts": True, "zoom": 2}
    lost = resvg.svg_to_bytes(svg_string=standalone(picture), **bare)
    assert lost == resvg.svg_to_bytes(svg_string=standalone(without), **bare), "resvg still says nothing"
    assert (png(picture)[:4], int.from_bytes(png(picture)[16:20])) == (b"\x89PNG", 600)
