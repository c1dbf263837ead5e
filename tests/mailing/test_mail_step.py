"""The step `mail`: what becomes of what a step has made, once for the run, whatever the mail server does."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from tests.servers.mail_server import MailServer

from trikk import mail, pipeline, step
from trikk.charts import RunBar, run_bars
from trikk.core.errors import DefinitionError
from trikk.core.settings import Settings, load_settings
from trikk.mailing.letter_message import compose
from trikk.mailing.letter_outbox import Recipients, queue, send_letters
from trikk.mailing.letter_parts import LARGEST, Parts
from trikk.mailing.letters import BACK_OFF, Letter, open_letters
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.testing import run_inline

PNG = bytes.fromhex("89504e470d0a1a0a") + b"\0" * 30
NASTY = '<script>alert("x")</script>\x1b[31m'


@pytest.fixture
def server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path: Path, server: MailServer) -> Settings:
    (tmp_path / "trikk.toml").write_text(
        f'name = "city"\n[reports]\nsmtp = "smtp://127.0.0.1:{server.port}"\nsender = "City <city@city.example>"\n'
    )
    return load_settings(tmp_path)


@step
def page(folder: str) -> Path:
    file = Path(folder) / "page.html"
    picture = base64.b64encode(PNG).decode()
    file.write_text(f'<html><body><h1>Loads</h1><img src="data:image/png;base64,{picture}"></body></html>')
    return file


@step
def table() -> pl.DataFrame:
    return pl.DataFrame({"line": [NASTY] + ["12"] * 99, "load": [0.5] * 100})


@step
def figure() -> Any:
    from matplotlib.figure import Figure

    drawn = Figure()
    drawn.subplots().plot([1, 2])
    return drawn


@pipeline
def nightly(folder: str) -> None:
    mail(page(folder), "a@city.example", subject="Loads\r\nBcc: evil@evil.example", name="page_mail")
    mail([table(), figure()], ["a@city.example", "b@city.example"], text=NASTY, name="rows_mail")


def test_pages_frames_and_figures_arrive_as_mail_programs_show_them(
    project: Settings, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    journal = MemoryJournal()
    run = run_inline(nightly, journal=journal, state_dir=project.state, folder=str(project.root))
    assert run.state == "succeeded", run.error
    (to, paged), (both, rows) = sorted(server.mails, key=lambda m: len(m[0]))
    assert (to, both) == (["a@city.example"], ["a@city.example", "b@city.example"])
    assert paged["Subject"] == "Loads\\r\\nBcc: evil@evil.example"
    assert paged["Bcc"] is None
    assert paged["Auto-Submitted"] == "auto-generated"
    html = paged.get_body(("html",))
    assert "<h1>Loads</h1>" in html.get_content()
    (picture,) = [p for p in paged.walk() if p.get_content_type() == "image/png"]
    assert f'src="cid:{picture["Content-ID"][1:-1]}"' in html.get_content()
    assert picture.get_content() == PNG
    shown = rows.get_body(("html",)).get_content()
    assert NASTY[:8] not in shown
    assert shown.count("&lt;script&gt;") == 2
    assert "\x1b" not in shown + rows.get_body(("plain",)).get_content()
    assert shown.count("<tr>") == 31
    assert "70 more rows: rows.csv" in shown
    (csv,) = rows.iter_attachments()
    assert csv.get_filename() == "rows.csv"
    assert pl.read_csv(csv.get_payload(decode=True)).height == 100
    (drawn,) = [p for p in rows.walk() if p.get_content_type() == "image/png"]
    assert drawn.get_content()[:4] == PNG[:4]
    assert run.output("rows_mail")["state"] == "delivered"
    # Another attempt of the same step of the same run sends nothing, whatever it has made by then.
    identity = run.output("page_mail")["letter"]
    queue(journal, identity, {"subject": "x", "text": "x", "html": "x"}, Recipients(("a@city.example",)), at=9e9)
    send_letters(journal, run.artifacts, project, project.state, at=9e9, only=identity, patient=False)
    assert len(server.mails) == 2
    assert not open_letters(journal)


class Post:
    """Letters of a journal, sent by a look at a time."""

    def __init__(self, project: Settings) -> None:
        self.project, self.journal = project, MemoryJournal()

    def queue(self, identity: str, *to: str, at: float = 0.0) -> None:
        body = {"subject": "late", "text": "late", "html": "<p>late</p>"}
        queue(self.journal, identity, body, Recipients.of(self.journal, to), at=at)

    def look(self, at: float) -> None:
        send_letters(self.journal, None, self.project, self.project.state, at=at)  # type: ignore[arg-type]

    def letter(self, identity: str) -> Letter:
        return Letter.read(self.journal, identity)


def test_a_server_that_is_away_delays_and_one_that_takes_a_mail_twice_gets_the_same_id(
    project: Settings, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(project)
    server.stop()
    post.queue("run/mail", "a@city.example", "busy@city.example", "gone@city.example")
    post.look(0.0)
    assert "refused" in post.letter("run/mail").failed["a@city.example"].lower()
    server.answers = {"gone@city.example": "550 no such user", "busy@city.example": "451 later"}
    server.start()
    post.look(1.0)  # before its pause is over
    assert server.mails == []
    post.look(BACK_OFF.first + 1.0)
    letter = post.letter("run/mail")
    assert letter.reached == ["a@city.example"]
    assert letter.refused == {"gone@city.example": "550 no such user"}
    assert [*open_letters(post.journal)] == ["run/mail"]
    # The process dies after the server took the mail for the one who was busy, and before it is written down.
    server.answers = {}
    add = post.journal.add
    with monkeypatch.context() as patch:
        patch.setattr(post.journal, "add", lambda s, kind, *a, **k: _dies(kind) or add(s, kind, *a, **k))
        with pytest.raises(KeyboardInterrupt):
            post.look(1000.0)
    post.look(2000.0)
    assert [to for to, _ in server.mails] == [["a@city.example"], ["busy@city.example"], ["busy@city.example"]]
    assert len({mail["Message-ID"] for _, mail in server.mails}) == 1
    assert post.letter("run/mail").progress.state == "delivered"
    assert not open_letters(post.journal)


def _dies(kind: str) -> None:
    if kind == "mail.attempted":
        raise KeyboardInterrupt


def test_a_letter_is_given_up_after_a_week_and_the_index_is_read_from_what_is_open(
    project: Settings, server: MailServer
) -> None:
    post = Post(project)
    for number in range(20):
        post.queue(f"run/{number}", "a@city.example")
        post.look(float(number))
    server.stop()
    post.queue("run/late", "a@city.example", at=100.0)
    post.look(100.0)
    post.queue("run/later", "a@city.example", at=200.0)
    assert [*open_letters(post.journal)] == ["run/late", "run/later"]
    last = post.journal.last("mails")
    assert last is not None
    assert len(post.journal.entries("mails", after=int(str(last.body["since"])) - 1)) == 2
    post.look(100.0 + 8 * 86400)
    assert post.letter("run/late").progress.state == "given up"
    assert [*open_letters(post.journal)] == ["run/later"]


def test_what_is_too_large_or_no_address_is_refused_with_what_to_do(tmp_path: Path) -> None:
    parts = Parts()
    with pytest.raises(Exception, match="would be too large") as caught:
        parts.add(b"\0" * (LARGEST + 1))
    assert "a summary" in str(caught.value)
    with pytest.raises(Exception, match="a frame of 2,000,000 rows"):
        parts.add(pl.DataFrame({"text": ["ten letters"] * 2_000_000}))
    with pytest.raises(Exception, match="of type object can't be mailed"):
        parts.add(object())
    for to in ("a@b\nBcc: c@d", "topic:a/b", "sns:arn:aws:s3:::bucket", []):
        with pytest.raises(DefinitionError):
            mail("x", to)


def test_what_a_page_draws_comes_as_png() -> None:
    chart = run_bars([RunBar(61.0, "succeeded")], 'runs of "nightly"')
    foreign = '<svg width="20" viewBox="0 0 9 9"><title>a &lt;dot&gt;</title><svg><circle r="4"/></svg></svg>'
    data = f"data:image/svg+xml;utf8,{quote(foreign)}"
    parts = Parts()
    parts.add(f"<html><body><p>before</p>{chart}<p>between</p>{foreign}<img alt=x src='{data}'></body></html>")
    _, html = parts.body("title")
    assert re.sub("cid:[0-9a-f]+@trikk", "cid:", html) == (
        '<html><body><p>before</p><img src="cid:" alt="runs of &quot;nightly&quot;" width="240"'
        ' style="max-width:100%;height:auto;"><p>between</p><img src="cid:" alt="a &lt;dot&gt;" width="20"'
        " style=\"max-width:100%;height:auto;\"><img alt=x src='cid:'></body></html>"
    )
    assert len(parts.pictures) == 2  # the same picture is one part
    assert all(picture.startswith(b"\x89PNG") and kind == "png" for picture, kind in parts.pictures.values())
    assert not parts.files


def test_a_page_with_a_picture_that_cant_be_drawn_is_attached() -> None:
    parts = Parts()
    parts.add("<html><body><svg><circle</svg></body></html>")
    assert "see the attached page" in parts.body("title")[0]
    assert ([*parts.files], parts.pictures) == (["page.html"], {})


def test_a_long_page_and_one_with_scripts_are_attached(tmp_path: Path) -> None:
    parts = Parts()
    parts.add("<html><script>plot()</script></html>")
    parts.add("<html><body>short</body></html>")
    parts.add({"loads": [1, float("nan")]})
    text, html = parts.body("title")
    assert [*parts.files] == ["page.html"]
    assert html.startswith("<html><body>short<div")
    assert "page.html: see the attached page" in text
    assert "null" in html
    twice = [compose(parts, subject="s", identity="i", at=datetime(2020, 1, 1, tzinfo=UTC)) for _ in "ab"]
    assert twice[0] == twice[1]
