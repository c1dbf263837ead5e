"""The report as PDF, set from the same content as the page; the same content gives the same bytes.

The font is DejaVu Sans, that of the pictures, embedded as far as its letters are used: the fonts that PDF readers
bring know western European letters only.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from trikk.charts.rasterising import png_picture
from trikk.core.errors import MissingExtra
from trikk.core.text import printable, printable_lines
from trikk.mailing.mail_addresses import ALL
from trikk.monitoring.figures.matrix import Matrix
from trikk.reports.page import phrases, words
from trikk.reports.page.figure_pictures import CONFUSION
from trikk.reports.page.page_content import Content, Section, Verdict

FONT, BOLD, MONO = "trikk-sans", "trikk-sans-bold", "trikk-mono"
_FILES = {FONT: png_picture.SANS, BOLD: png_picture.BOLD, MONO: png_picture.MONO}
INK, SOFT, LINE, TILE = "#1f2933", "#52606d", "#dfe3e8", "#f5f7fa"
COLOURS = {Verdict.BETTER: "#0b6b3a", Verdict.WORSE: "#b42318"}
_MARGIN, _FRAME = 42.0, 6.0


def pdf(content: Content, pictures: Mapping[str, bytes]) -> bytes:
    """The report as a PDF document (A4).

    Raises:
        MissingExtra: if reportlab is not installed.
    """
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.platypus import SimpleDocTemplate
    except ImportError:
        raise MissingExtra("a report as PDF", "reports") from None
    _register_fonts()
    data = io.BytesIO()
    document = SimpleDocTemplate(
        data,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=44,
        bottomMargin=44,
        title=phrases.headline(content),
        author=content.project,
        subject=content.period_title,
        creator="trikk",
        lang="en",
        invariant=1,  # no clock, and an id that follows from the content
    )
    sheet = Sheet(document.width - 2 * _FRAME)
    story = sheet.top(content)
    for section in content.sections:
        story += sheet.section(content, section, pictures)
    story += sheet.end(content)

    def foot(canvas: Any, page: Any) -> None:
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(SOFT)
        canvas.drawString(_MARGIN + _FRAME, 26, printable(phrases.headline(content)))
        canvas.drawRightString(A4[0] - _MARGIN - _FRAME, 26, str(page.page))

    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return data.getvalue()


def _register_fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name, file in _FILES.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(file)))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


class Sheet:
    """Sets parts of a page, `width` points wide."""

    def __init__(self, width: float) -> None:
        self.width = width

    def top(self, content: Content) -> list[Any]:
        """Title, period, and as of when."""
        whose = content.project + (
            "" if content.customer == ALL else f" · for {content.customer_name or content.customer}"
        )
        story = [
            self.text(whose, 8.5, SOFT),
            self.text(f"{content.title}: {content.period_title}", 18, INK, bold=True, after=2),
        ]
        if content.as_of_text:
            story.append(self.text(f"Figures as of {content.as_of_text} ({content.timezone})", 8.5, SOFT))
        return story

    def section(self, content: Content, section: Section, pictures: Mapping[str, bytes]) -> list[Any]:
        """One monitor's part."""
        from reportlab.platypus import Spacer

        story = [
            self.text(_title(content, section), 13, INK, bold=True, before=12, after=3, marked=True),
            self.text(section.sentence, 10.5, INK, after=8),
            self.tiles(content, section),
            Spacer(1, 10),
            self.picture(pictures[section.monitor]),
            self.text(" ".join([*phrases.standing(section), *section.notes]), 8.5, SOFT, before=4),
        ]
        if len(section.metrics) > 1:
            story += [self.heading("All metrics"), self.metrics(content, section)]
        if section.confusion is not None:
            story += self.confusion(section.confusion, pictures[CONFUSION.format(section.monitor)])
        for table in section.slices:
            story += self.together(
                phrases.by_slice(table, section.metric.better), self.slices(section, table.column)
            )
            if (more := len(table.rows) - phrases.SHOWN_SLICES) > 0:
                story.append(self.text(f"and {more} more", 8.5, SOFT, before=3))
        return story + (self.restated(section) if section.restated else [])

    def restated(self, section: Section) -> list[Any]:
        """The figures that changed after they were final."""
        name = section.metric.name
        shown, rest = phrases.corrections(section)
        rows = [
            [
                words.window_text(r.label),
                f"{r.why}, {r.at}",
                f"{words.number(r.was, name)} → {words.number(r.now, name)}",
            ]
            for r in shown
        ]
        changes = self.table(rows, [0.18, 0.56, 0.26]) if rows else None
        story = self.together("Restated after being final", changes)
        if rest:
            story.append(self.text(f"{'and ' if rows else ''}{rest}", 8.5, SOFT, before=3))
        return story

    def picture(self, png: bytes) -> Any:
        """A picture as wide as the page."""
        from reportlab.lib.utils import ImageReader
        from reportlab.platypus import Image

        wide, high = ImageReader(io.BytesIO(png)).getSize()
        return Image(io.BytesIO(png), width=self.width, height=self.width * high / wide)

    def confusion(self, matrix: Matrix, png: bytes) -> list[Any]:
        """A confusion matrix: its picture, its table, and a sentence."""
        from reportlab.platypus import KeepTogether

        rows = words.confusion_rows(matrix)
        each = min(0.1, 0.7 / (len(rows[0]) - 1))
        widths = [1 - each * (len(rows[0]) - 1), *[each] * (len(rows[0]) - 1)]
        return [
            KeepTogether([self.heading("Which class was predicted for which"), self.picture(png)]),
            self.table(rows, widths, head=True),
            self.text(phrases.about_matrix(matrix), 8.5, SOFT, before=3),
        ]

    def end(self, content: Content) -> list[Any]:
        """Models, incidents, what to do, and how to have this page again."""
        story: list[Any] = []
        if content.models:
            rows = [[f"{h.model} {h.version}", f"champion since {h.since}: {h.why}"] for h in content.models]
            story += self.together("Models", self.table(rows, [0.18, 0.82], right=False))
        if content.incidents:
            rows = [
                [i.severity or "incident", f"{i.title}: {i.opened} to {i.resolved or 'now: open'}. {i.why}"]
                for i in content.incidents
            ]
            story += self.together("Incidents", self.table(rows, [0.18, 0.82], right=False))
        if content.actions:
            story.append(self.heading("What to do"))
            for action in content.actions:
                command = f"<br/>{_code(action.command)}" if action.command else ""
                story.append(self.text(escape(action.text) + command, 9, INK, after=5, marked=True))
        if content.customer == ALL:
            again = f"This very page again: {_code(content.again)}"
            story.append(self.text(again, 8, SOFT, before=12, marked=True))
        return story

    def tiles(self, content: Content, section: Section) -> Any:
        """The three figures that matter."""
        from reportlab.platypus import Table, TableStyle

        cells = [
            [
                self.text(tile.label, 8, SOFT),
                self.text(self.figure(tile), 18, INK, bold=True, marked=True),
                self.text(tile.note, 8.5, COLOURS.get(tile.verdict, SOFT)),
            ]
            for tile in phrases.tiles(section, content.before_title)
        ]
        gap = 8.0
        each = (self.width - gap * (len(cells) - 1)) / len(cells)
        row: list[Any] = []
        widths: list[float] = []
        style: list[tuple[Any, ...]] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 7)]
        for place, cell in enumerate(cells):
            row += [""] * bool(place) + [cell]
            widths += [gap] * bool(place) + [each]
            style.append(("BACKGROUND", (place * 2, 0), (place * 2, 0), TILE))
        style += [("BOTTOMPADDING", (0, 0), (-1, -1), 8), ("LEFTPADDING", (0, 0), (-1, -1), 9)]
        return Table([row], colWidths=widths, style=TableStyle(style))

    def figure(self, tile: phrases.Tile) -> str:
        """A tile's figure with its unit in small letters, marked up."""
        unit = f' <font name="{FONT}" size="10">{escape(tile.unit)}</font>' if tile.unit else ""
        return escape(tile.figure) + unit + tile.margin

    def metrics(self, content: Content, section: Section) -> Any:
        """All metrics with those before and the baseline's."""
        compared, against = _compared(section), bool(section.baseline)
        head = ["Metric", f"This {content.kind}", *["Before", "Change"] * compared]
        rows: list[list[Any]] = [head + [section.baseline] * against]
        for m in section.metrics:
            row: list[Any] = [
                words.headed(m) + ("" if m.exact else " (approx.)"),
                words.number(m.value, m.name) + words.margin(m.error),
            ]
            if compared:
                row += [words.number(m.before, m.name), self.judged(m.verdict, words.signed(m.change))]
            rows.append(row + [words.number(m.baseline, m.name)] * against)
        rest = [0.15] * (len(rows[0]) - 1)
        return self.table(rows, [1 - sum(rest), *rest], head=True)

    def slices(self, section: Section, column: str) -> Any:
        """A slice's values, the worst first, with bars."""
        name = section.metric.name
        table = next(table for table in section.slices if table.column == column)
        compared = _compared(section)
        rows: list[list[Any]] = [
            [table.title or column, words.headed(section.metric), "", *["Change"] * compared, "Cases"]
        ]
        for row in table.rows[: phrases.SHOWN_SLICES]:
            cells = [
                words.slice_text(column, row.value, row.name),
                self.bar(row.share),
                words.number(row.metric, name) + words.margin(row.error),
            ]
            cells += [self.judged(row.verdict, words.signed(row.change))] * compared
            rows.append([*cells, words.count(row.labelled) + (" few" if row.few else "")])
        rest = [0.22, *[0.14] * (len(rows[0]) - 2)]
        return self.table(rows, [1 - sum(rest), *rest], head=True)

    def bar(self, share: float) -> Any:
        """A bar of up to a fifth of the width."""
        from reportlab.graphics.shapes import Drawing, Rect

        width = self.width * 0.2
        drawing = Drawing(width, 6)
        if share > 0:
            drawing.add(Rect(0, 0, width * share, 6, rx=3, ry=3, fillColor=_colour("#1d5fa8"), strokeColor=None))
        return drawing

    def judged(self, verdict: Verdict, text: str) -> Any:
        """A change in the colour of what it means."""
        return self.text(text, 8.5, COLOURS.get(verdict, SOFT), right=True)

    def heading(self, text: str) -> Any:
        """The title of a table."""
        return self.text(text, 10.5, INK, bold=True, before=12, after=3)

    def together(self, title: str, table: Any | None) -> list[Any]:
        """A table, if there is one, that does not leave its title behind."""
        from reportlab.platypus import CondPageBreak

        return [CondPageBreak(90), self.heading(title), *([] if table is None else [table])]

    def table(
        self, rows: Sequence[Sequence[Any]], widths: Sequence[float], *, head: bool = False, right: bool = True
    ) -> Any:
        """Rows under a line each; all columns but the first to the right, unless they hold sentences."""
        from reportlab.platypus import Table, TableStyle

        sentences = not head
        cells = []
        for number, row in enumerate(rows):
            top = head and number == 0
            paragraphs = []
            for place, value in enumerate(row):
                aside = right and (place == len(row) - 1 if sentences else place > 0)
                colour, size = (SOFT, 8) if top else (INK, 8.5)
                strong = top or (sentences and place == 0)
                plain = isinstance(value, str)
                paragraphs.append(self.text(value, size, colour, bold=strong, right=aside) if plain else value)
            cells.append(paragraphs)
        style = TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP" if sentences else "MIDDLE"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
        return Table(cells, colWidths=[self.width * w for w in widths], style=style, repeatRows=int(head))

    def text(
        self,
        text: str,
        size: float,
        colour: str,
        *,
        bold: bool = False,
        right: bool = False,
        before: float = 0,
        after: float = 0,
        marked: bool = False,
    ) -> Any:
        """A paragraph; its text is escaped unless it is `marked` up already."""
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Paragraph

        style = ParagraphStyle(
            "text",
            fontName=BOLD if bold else FONT,
            fontSize=size,
            leading=size * 1.4,
            textColor=colour,
            alignment=2 if right else 0,
            spaceBefore=before,
            spaceAfter=after,
            splitLongWords=True,
        )
        return Paragraph(printable_lines(text if marked else escape(text)), style)


def _title(content: Content, section: Section) -> str:
    """What a monitor is called, marked up; on pages on everything its name, too, which commands take."""
    title = section.title or section.monitor
    if content.customer != ALL or title == section.monitor:
        return escape(title)
    return f'{escape(title)} <font name="{FONT}" size="8.5" color="{SOFT}">{section.monitor}</font>'


def _compared(section: Section) -> bool:
    """Whether there is a period before to compare with."""
    return any(metric.before is not None for metric in section.metrics)


def _code(text: str) -> str:
    return f'<font name="{MONO}" size="7.5">{escape(printable(text))}</font>'


def _colour(text: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(text)
