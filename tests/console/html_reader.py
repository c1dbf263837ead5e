"""A page as a test reads it: texts, links, forms, what the policy for pages forbids, what browsers would mend."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

FORM = {"content-type": "application/x-www-form-urlencoded"}
UNCLOSED = frozenset(("br", "hr", "img", "input", "link", "meta", "option"))  # elements that need no end tag
ROWS = frozenset(("table", "thead", "tbody", "tfoot", "tr"))  # text in these is moved in front of the table


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    label: str = ""  # of its button


class HtmlPage(HTMLParser):
    """One page, read as it came."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.links: dict[str, str] = {}  # address -> text
        self.forms: list[Form] = []
        self.forbidden: list[str] = []  # what the policy would block
        self.malformed: list[str] = []  # what a browser would mend by a guess
        self._open: list[str] = []
        self._texts: list[str] = []
        self._link: str | None = None
        self._in_button = False
        self._select = ""  # that is open, by name
        self._options = 0  # of it, so far
        self._quiet = 0
        self.feed(html)
        self.malformed += [f"<{tag}> is not closed" for tag in self._open]
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        self._nest(tag)
        if "style" in given or any(name.startswith("on") for name in given) or tag == "style":
            self.forbidden.append(self.get_starttag_text() or tag)
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.forbidden.append(self.get_starttag_text() or tag)
        if tag == "a":
            self._link = given.get("href") or given.get("xlink:href") or ""
            self.links.setdefault(self._link, "")
        elif tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        elif tag in ("input", "textarea", "select") and self.forms and given.get("name"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self.forms[-1].fields[given["name"]] = given.get("value") or ""
            self._select = given["name"] if tag == "select" else ""
            self._options = 0
        elif tag == "option" and self._select:
            if "selected" in given or self._options == 0:
                self.forms[-1].fields[self._select] = given.get("value") or ""
            self._options += 1
        elif tag == "button":
            self._in_button = True
        elif tag == "title":
            self._quiet += 1

    def _nest(self, tag: str) -> None:
        if tag in ("td", "th") and self._open[-1:] != ["tr"]:
            self.malformed.append(f"<{tag}> outside of a row, line {self.getpos()[0]}")
        if tag not in UNCLOSED:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in UNCLOSED and (not self._open or self._open.pop() != tag):
            self.malformed.append(f"</{tag}> closes something else, line {self.getpos()[0]}")
        if tag == "a":
            self._link = None
        elif tag == "button":
            self._in_button = False
        elif tag == "select":
            self._select = ""
        elif tag == "title":
            self._quiet -= 1

    def handle_data(self, data: str) -> None:
        if data.strip() and self._open and self._open[-1] in ROWS:
            self.malformed.append(f"{data.strip()!r} between the cells, line {self.getpos()[0]}")
        if self._quiet:
            return
        self._texts.append(data)
        if self._link is not None:
            self.links[self._link] += data
        if self._in_button and self.forms:
            self.forms[-1].label += data

    def form(self, action: str) -> Form:
        """The first form that is sent there."""
        return next(form for form in self.forms if form.action == action)


def read_page(client: httpx.Client, path: str, status: int = 200) -> HtmlPage:
    """Get a page as a browser does; nothing on it may be what the policy blocks or a browser has to mend."""
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    page = HtmlPage(answer.text)
    assert not page.forbidden
    assert not page.malformed
    return page


def send_form(client: httpx.Client, form: Form, **values: str) -> httpx.Response:
    """Press a form's button as a browser does, with what was typed; the answer is not followed."""
    origin = str(client.base_url).rstrip("/")
    return client.post(form.action, data={**form.fields, **values}, headers={"origin": origin})
