"""The HTML page and the plain text of a report, from Jinja templates: trikk's own, or one of the project."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.charts import Svg, stylesheet
from trikk.core.errors import MissingExtra, UsageError
from trikk.core.text import counted, printable_lines
from trikk.mailing.mail_addresses import ALL
from trikk.reports.page import phrases, words
from trikk.reports.page.figure_pictures import described
from trikk.reports.page.page_content import Content
from trikk.steps.scripts.workfolder import code_file

if TYPE_CHECKING:
    from jinja2 import Environment

OWN = "page.html.j2"
Image = Callable[[str], str]
"""Gives a picture's address by the monitor's name."""


def as_data(pictures: Mapping[str, bytes]) -> Image:
    """Pictures that are part of the page."""
    return lambda name: "data:image/png;base64," + base64.b64encode(pictures[name]).decode()


def html(content: Content, image: Image, template: str = "", drawings: Mapping[str, Svg] | None = None) -> str:
    """The page.

    Args:
        content: what is on it.
        image: where its pictures are, as PNG.
        template: one of the project's; "" for trikk's own.
        drawings: its pictures as parts of it, which trikk's own template shows rather than the PNG; None where
            the page is to be a mail.

    Raises:
        UsageError: if the template can't be found or is written wrongly.
        MissingExtra: if Jinja is not installed.
    """
    return _rendered(template or OWN, content, image, drawings or {}, project=bool(template))


def text(content: Content) -> str:
    """The page as plain text, for mail programs that show nothing else."""
    lines = _rendered("page.txt.j2", content, lambda _: "", {}, project=False).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip() + "\n"


def _rendered(name: str, content: Content, image: Image, drawings: Mapping[str, Svg], *, project: bool) -> str:
    try:
        from jinja2 import TemplateError
    except ImportError:
        raise MissingExtra("a report's page", "reports") from None
    where = str(code_file(name, "template")) if project else name
    environment = _environment(project=project)
    try:
        return environment.get_template(name).render(
            report=content,
            image=image,
            drawings=drawings,
            chart_styles=Svg(stylesheet()) if drawings else "",
            described=described,
            inside=content.customer == ALL,
            shown=phrases.SHOWN_SLICES,
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        line = getattr(error, "lineno", None) or _line(error, where)
        raise UsageError(
            f"template {name} can't be used: {(str(error).splitlines() or [type(error).__name__])[0]}",
            where=f"{where}:{line}" if line else where,
            next="it gets `report`, `image(monitor)` and the filters that docs/reports.md lists",
        ) from error


def _line(error: BaseException, where: str) -> int | None:
    """The template's line in which an error came up; Jinja makes stack traces that name it."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == where:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _source(name: str) -> tuple[str, str, Callable[[], bool]]:
    """A template of the project's code, as Jinja wants it; a replay has it, too."""
    from jinja2 import TemplateNotFound

    try:
        path = code_file(name, "template")
    except UsageError as error:
        raise TemplateNotFound(name, error.what) from error
    return path.read_text("utf-8"), str(path), lambda: True


def _environment(*, project: bool) -> Environment:
    """A sandbox that escapes whatever it is given and knows no name that it was not given."""
    from jinja2 import (
        BaseLoader,
        ChoiceLoader,
        FileSystemLoader,
        FunctionLoader,
        PrefixLoader,
        StrictUndefined,
        select_autoescape,
    )
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    own = FileSystemLoader(Path(__file__).parent / "templates")
    loaders: list[BaseLoader] = [PrefixLoader({"trikk": own})]
    loaders.append(FunctionLoader(_source) if project else own)
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=select_autoescape(disabled_extensions=("txt", "txt.j2"), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters.update(FILTERS)
    return environment


def _shown(value: object) -> object:
    """What an expression of a template gives, without controls that a mail program or a terminal would obey."""
    return printable_lines(value) if type(value) is str else value


FILTERS: dict[str, Callable[..., Any]] = {
    "number": words.number,
    "percent": words.percent,
    "signed": words.signed,
    "margin": words.margin,
    "count": words.count,
    "counted": counted,
    "slice_text": words.slice_text,
    "headed": words.headed,
    "confused": words.confused,
    "confusion_rows": words.confusion_rows,
    "window_text": words.window_text,
    "caveats": phrases.caveats,
    "against_baseline": words.against_baseline,
    "by_slice": phrases.by_slice,
    "corrections": phrases.corrections,
    "standing": phrases.standing,
    "tiles": phrases.tiles,
    "about_matrix": phrases.about_matrix,
}
