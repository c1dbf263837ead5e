"""A gate's result as one HTML page that needs nothing else: no script, no font, no picture.

It is made of plain headings and tables, so that a mail program which drops the style still shows everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from trikk.core.text import printable
from trikk.quality.check import Severity
from trikk.quality.check_verdict import Verdict

_WORDS = {Verdict.PASSED: "Passed", Verdict.WARNED: "Passed, with warnings", Verdict.BLOCKED: "Blocked"}
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; background: #ffffff; color: #1c2024;
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .2rem 0; } .dim { color: #60646c; }
.verdict { font-size: 1.1rem; font-weight: 600; margin: .6rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d9dce0; }
th { background: #f4f5f7; font-weight: 600; } td { overflow-wrap: anywhere; }
.checks td + td { min-width: 9rem; }
.rows td, .rows th { font: 13px/1.4 ui-monospace, monospace; white-space: pre; overflow-wrap: normal; }
.mark { white-space: nowrap; font-weight: 600; }
.good { color: #18794e; } .bad { color: #b91c1c; } .warn { color: #8a5a00; } .info { color: #1d5fb0; }
@media (prefers-color-scheme: dark) {
  body { background: #16181b; color: #edeef0; } .dim { color: #a0a6ae; }
  th, td { border-color: #3a3f45; } th { background: #212529; }
  .good { color: #5bd197; } .bad { color: #ff8f88; } .warn { color: #f0bc5a; } .info { color: #82b7ff; }
}
"""
_COLOUR = {Severity.BLOCK: "bad", Severity.WARN: "warn", Severity.INFO: "info"}
_MARK = {Severity.BLOCK: "&#10007; blocks", Severity.WARN: "! warns", Severity.INFO: "! info"}
_VERDICT = {Verdict.PASSED: "good", Verdict.WARNED: "warn", Verdict.BLOCKED: "bad"}


def report_html(result: Mapping[str, Any], *, title: str = "Quality gate", about: str = "") -> str:
    """The page."""
    checks = result["checks"]
    failed = [check for check in checks if not check["passed"]]
    rows = "an unknown number of rows" if result["rows"] is None else f"{result['rows']:,} rows"
    verdict = result["verdict"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{escape(about)}</p>' if about else "",
        f'<p class="verdict {_VERDICT[verdict]}">{_WORDS[verdict]}</p>',
        f"<p>{len(checks) - len(failed)} of {len(checks)} checks passed, over {rows}.</p>",
        f"<p>{result['set_aside']:,} rows are set aside.</p>" if result.get("set_aside") else "",
        _overview(sorted(checks, key=_order)),
        *(_details(check) for check in sorted(failed, key=_order) if check["sample"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: {_WORDS[verdict]}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _order(check: Mapping[str, Any]) -> tuple[bool, int]:
    """Failed ones first, the gravest of them on top; otherwise as the author wrote them."""
    return check["passed"], 0 if check["passed"] else list(_COLOUR).index(check["severity"])


def _overview(checks: Iterable[Mapping[str, Any]]) -> str:
    lines = [
        f'<tr><td class="mark {_colour(check)}">{_mark(check)}</td><td>{escape(check["name"])}</td>'
        f"<td>{escape(check['expected'])}</td><td>{escape(check['observed'])}</td></tr>"
        for check in checks
    ]
    head = "<tr><th></th><th>Check</th><th>Expected</th><th>Observed</th></tr>"
    return f'<div class="wide"><table class="checks">\n{head}\n' + "\n".join(lines) + "\n</table></div>"


def _details(check: Mapping[str, Any]) -> str:
    sample = check["sample"]
    # Rows of a sample may lack columns, such as repeated keys, which have their count beside them.
    names = list(dict.fromkeys(name for row in sample for name in row))
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in names)
    lines = ["<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>" for row in sample]
    of = f" of {check['failing']:,}" if check["failing"] is not None else ""
    return (
        f'<h2>{escape(check["name"])}</h2><p class="dim">{len(sample)}{of} failing rows</p>'
        f'<div class="wide"><table class="rows">\n<tr>{head}</tr>\n' + "\n".join(lines) + "\n</table></div>"
    )


def _mark(check: Mapping[str, Any]) -> str:
    if check["passed"]:
        return "&#10003; passed"
    if check.get("set_aside"):
        return "! set aside"
    return _MARK[check["severity"]]


def _colour(check: Mapping[str, Any]) -> str:
    return "good" if check["passed"] else "warn" if check.get("set_aside") else _COLOUR[check["severity"]]


def _cell(value: object) -> str:
    """A value of a row; what can't be seen is written out."""
    if value is None:
        return '<td class="dim">null</td>'
    text = value if isinstance(value, str) else json.dumps(value)
    return f"<td>{escape(printable(text))}</td>"
