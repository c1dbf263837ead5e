"""A gate's result as one HTML page that needs nothing else: no script, no font, no picture.

It is made of plain headings and tables, so that a mail program which drops the style still shows everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_WORDS = {"passed": "Passed", "warned": "Passed, with warnings", "blocked": "Blocked"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --line: #d9dce0; --page: #ffffff;
  --shade: #f4f5f7; --good: #18794e; --bad: #b91c1c; --warn: #8a5a00; --info: #1d5fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --dim: #a0a6ae; --line: #3a3f45; --page: #16181b;
  --shade: #212529; --good: #5bd197; --bad: #ff8f88; --warn: #f0bc5a; --info: #82b7ff; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .2rem 0; } .dim { color: var(--dim); }
.verdict { font-size: 1.1rem; font-weight: 600; margin: .6rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { background: var(--shade); font-weight: 600; } td { overflow-wrap: anywhere; }
.rows td, .rows th { font: 13px/1.4 ui-monospace, monospace; white-space: nowrap; overflow-wrap: normal; }
.mark { white-space: nowrap; font-weight: 600; } .number { text-align: right; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.info { color: var(--info); }
"""
_COLOUR = {"block": "bad", "warn": "warn", "info": "info"}
_VERDICT = {"passed": "good", "warned": "warn", "blocked": "bad"}


def report_html(result: Mapping[str, Any], *, title: str = "Quality gate", about: str = "") -> str:
    """The page.

    Args:
        result: what `quality_gate` returns, or `GateBlocked.result`.
        title: its heading.
        about: a line below that, such as which run it is from.
    """
    checks = result["checks"]
    failed = [check for check in checks if not check["passed"]]
    rows = "an unknown number of rows" if result["rows"] is None else f"{result['rows']:,} rows"
    verdict = result["verdict"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{escape(about)}</p>' if about else "",
        f'<p class="verdict {_VERDICT[verdict]}">{_WORDS[verdict]}</p>',
        f"<p>{len(checks) - len(failed)} of {len(checks)} checks passed, over {rows}.</p>",
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
        f"<td>{escape(check['expected'])}</td><td>{escape(check['observed'])}</td>"
        f'<td class="number">{_share(check)}</td></tr>'
        for check in checks
    ]
    head = '<tr><th></th><th>Check</th><th>Expected</th><th>Observed</th><th class="number">Failing</th></tr>'
    return f'<div class="wide"><table>\n{head}\n' + "\n".join(lines) + "\n</table></div>"


def _details(check: Mapping[str, Any]) -> str:
    sample = check["sample"]
    names = list(dict.fromkeys(name for row in sample for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [
        "<tr>" + "".join(f"<td>{escape(_value(row.get(name)))}</td>" for name in names) + "</tr>" for row in sample
    ]
    of = f" of {check['failing']:,}" if check["failing"] is not None else ""
    return (
        f'<h2>{escape(check["name"])}</h2><p class="dim">{len(sample)}{of} failing</p>'
        f'<div class="wide"><table class="rows">\n<tr>{head}</tr>\n' + "\n".join(lines) + "\n</table></div>"
    )


def _mark(check: Mapping[str, Any]) -> str:
    if check["passed"]:
        return "&#10003; passed"
    return {"block": "&#10007; blocks", "warn": "! warns", "info": "i told"}[check["severity"]]


def _colour(check: Mapping[str, Any]) -> str:
    return "good" if check["passed"] else _COLOUR[check["severity"]]


def _share(check: Mapping[str, Any]) -> str:
    share = check["share"]
    if share is None:
        return ""
    return f"{share:.2%}" if share >= 0.0001 or share == 0 else "&lt; 0.01%"


def _value(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
