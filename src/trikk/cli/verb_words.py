"""Commands that list, show one, or do with it what a verb says: `trikk triggers [pause|unpause] [NAME]`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import click


class ListingGroup(click.Group):
    """Commands of which the one called `list` is meant where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with `list` put in front of options alone."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def split_words(words: tuple[str, ...], verbs: Collection[str], noun: str) -> tuple[str, str]:
    """What is to be done, and with which of them; "" for nothing, and for all.

    Raises:
        click.UsageError: if several are named, or none with a verb.
    """
    verb, names = (words[0], words[1:]) if words and words[0] in verbs else ("", words)
    if len(names) > 1 or (verb and not names):
        raise click.UsageError(f"name one {noun}")
    return verb, names[0] if names else ""


def by_word(noun: str, *verbs: str, **others: str) -> Callable[[Mapping[str, Any]], str]:
    """The action of such a command, as `audited` has it: "pause nightly", of a trigger, is "pause_trigger".

    Args:
        noun: of what.
        verbs: that do something.
        others: verbs by the word for them, where that is another.
    """
    known = {**{verb: verb for verb in verbs}, **others}

    def action(options: Mapping[str, Any]) -> str:
        words = options["words"]
        return f"{known[words[0]]}_{noun}" if words and words[0] in known else ""

    return action
