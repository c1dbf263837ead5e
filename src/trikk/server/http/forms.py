"""Forms of pages, as browsers send them: texts by name, which become the body that a route takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from trikk.web.refused import Refused

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_TOKEN, BACK, KEY = "form-token", "back", "key"
FORM_FIELDS = (FORM_TOKEN, BACK, KEY)
"""Fields that say how a form is sent, not what: proof that a page of ours has it, where to go afterwards, and what
makes a second press of its button the same request (`Idempotency-Key`)."""
DONE = "done"
"""The query parameter by which a page knows what the form has done that led to it: an operation, so that no link
can put words there. Any page may be sent it."""
_MOST_FIELDS = 2_000
_JSON = ":json"


def read_form(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What a form says, and how it is sent.

    An empty field is one that is not given, since browsers send all. `parameters.day=x` is a field of an object,
    also an empty one, `steps[]=a` an item of a list, `payload:json=5` any value; a text if it is not JSON.

    Args:
        data: the request's body.

    Returns:
        The fields of the body that the form stands for, all of them texts; those of `FORM_FIELDS`.

    Raises:
        Refused: 400 if it is not a form.
    """
    try:
        pairs = parse_qsl(data.decode("ascii"), True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Refused(400, "the form can't be read", next="send it as browsers do, in UTF-8") from error
    body: dict[str, Any] = {}
    form: dict[str, str] = {}
    for name, text in pairs:
        outer, dot, inner = name.partition(".")
        if text == "" and not dot:
            continue
        if name in FORM_FIELDS:
            form[name] = text
        elif name.endswith(_JSON):
            body[name.removesuffix(_JSON)] = _value(text)
        elif dot:
            fields = body.setdefault(outer, {})
            if not isinstance(fields, dict):
                raise Refused(400, f"the form has {outer} twice", next="give each field once")
            fields[inner] = text
        elif name.endswith("[]"):
            items = body.setdefault(name[:-2], [])
            if not isinstance(items, list):
                raise Refused(400, f"the form has {name[:-2]} twice", next="give each field once")
            items.append(text)
        else:
            body[name] = text
    return body, form


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A query by name; values of one name, as the ticked boxes of a form are sent, with commas between them."""
    query: dict[str, str] = {}
    for name, text in pairs:
        query[name] = f"{query[name]},{text}" if name in query else text
    return query


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
