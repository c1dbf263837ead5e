"""Every mistake in a definition is refused with the author's own line, and with what to do."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trikk.core.errors import UsageError

PRELUDE = """
from __future__ import annotations
import enum
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple
import polars as pl
from trikk import Alarm, FeatureTable, Model, Monitor, Report, predict
from trikk import Cache, Resources, Retry, Table, pipeline, sql, step, when

rows = Table("rows")

class Colour(enum.Enum):
    RED = 1

@step
def make(n: int = 1) -> int:
    return n

@step
def text(t: str) -> str:
    return t

@step
def frame() -> pl.DataFrame:
    return pl.DataFrame()

@step
def score(n: int) -> dict[str, float]:
    return {}

@step
def pair() -> tuple[int, str]:
    return 1, ""

@step
def total(items: list[int]) -> int:
    return sum(items)

@step
def many(*items: int) -> int:
    return 0

@step
def by_position(a: int, /) -> int:
    return a

@step
def named(**values: int) -> int:
    return 0

@step
def anything(value: Any) -> None: ...

@pipeline
def good(n: int = 1):
    global leaked, leaked_parameter
    leaked_parameter = n
    leaked = make.options(name="leaking")(n)
"""
_COUNT = itertools.count()


@pytest.fixture
def define(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module with the prelude and this source."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def importer(source: str) -> ModuleType:
        name = f"definition_{next(_COUNT)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(PRELUDE + source)
        return importlib.import_module(name)

    yield importer
    for name in names:
        sys.modules.pop(name, None)


def body(*lines: str, parameters: str = "n: int, day: date, flag: bool, names: list[str]") -> str:
    """A pipeline with this body; a line that ends with `# here` is the one to blame."""
    return f"@pipeline\ndef wrong({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


MISTAKES = {
    # cycles, as an author can write them
    "own output": (body("a = make(a)  # here"), "is a cycle"),
    "later output": (body("a = text(b)  # here", "b = text(a)"), "is a cycle"),
    "later step": (body("later(1)  # here") + "@step\ndef later(n: int): ...\n", "define steps above"),
    # arguments
    "unknown argument": (body("make(1, m=2)  # here"), "its arguments are (n: 'int' = 1)"),
    "missing argument": (body("text()  # here"), "its arguments are"),
    "too many arguments": (body("make(1, 2)  # here"), "its arguments are"),
    "wrong constant": (body("make('1')  # here"), "change the annotation"),
    "bool for a number": (body("make(True)  # here"), "change the annotation"),
    "wrong parameter": (body("make(day)  # here"), "change the annotation"),
    "wrong output": (body("text(make(n))  # here"), "change the annotation"),
    "wrong item": (body("total([1, 'x'])  # here"), "change the annotation"),
    "unserialisable constant": (body("anything(object())  # here"), "return it from a step"),
    "unserialisable inside": (body("anything([1, {2, 3}])  # here"), "return it from a step"),
    "a condition as argument": (body("anything(make(n) > 1)  # here"), "compare inside the step"),
    "a key that is no text": (body("anything({1: make(n)})  # here"), "use texts as keys"),
    "a step as argument": (body("anything(make)  # here"), "return it from a step"),
    "star arguments": (body("many(1, 2)  # here"), "give it one list argument"),
    "positional-only argument": (body("by_position(1)  # here"), "remove the /"),
    # names
    "one name for two calls": (
        body("make.options(name='x')(1)", "make.options(name='x')(2)  # here"),
        "choose another",
    ),
    "one name for two steps": (body("make.options(name='text')(1)", "text('a')  # here"), "name one of them"),
    "a name that a number made": (
        body("make.options(name='text-2')(1)", "text('a')", "text('b')  # here"),
        "give one another name",
    ),
    "hostile step name": (body("make.options(name='../x')(1)  # here"), "letters, digits"),
    "hostile table name": (body("Table('a\\0b').append(frame())  # here"), "letters, digits"),
    # stand-ins
    "adding": (body("make(n + 1)  # here"), "do this inside a step"),
    "adding from the right": (body("make(1 + make(n))  # here"), "do this inside a step"),
    "negating": (body("make(-n)  # here"), "do this inside a step"),
    "length": (body("make(len(names))  # here"), "do this inside a step"),
    "index": (body("make([1, 2][n])  # here"), "do this inside a step"),
    "int": (body("make(int(n))  # here"), "do this inside a step"),
    "round": (body("make(round(n))  # here"), "do this inside a step"),
    "f-string": (body("text(f'{day}')  # here"), "build the text inside a step"),
    "f-string with a format": (body("text(f'{day:%Y}')  # here"), "build the text inside a step"),
    "str": (body("text(str(make(n)))  # here"), "build the text inside a step"),
    "old formatting": (body("text('%s' % make(n))  # here"), "build the text inside a step"),
    "if on an output": (body("if make(n):  # here", "    make(2)"), "with when"),
    "if on a parameter": (body("if flag:  # here", "    make(2)"), "with when"),
    "if on a comparison": (body("if make(n) > 3:  # here", "    make(2)"), "with when"),
    "and on conditions": (body("with when(n > 1 and flag):  # here", "    make(2)"), "with when"),
    "chained comparison": (body("with when(1 < n < 3):  # here", "    make(2)"), "with when"),
    "iterating an output": (body("for x in total(names):  # here", "    make(x)"), ""),
    "iterating a single output": (body("for x in make(n):  # here", "    make(x)"), "step.map"),
    "iterating a parameter": (body("for x in names:  # here", "    text(x)"), "step.map"),
    "a part that is not there": (body("a = pair()", "make(a[2])  # here"), "that the step declares"),
    "too many parts": (body("a, b, c = pair()  # here"), "move computing into a step"),
    "an attribute of an output": (body("text(frame().columns)  # here"), "inside a step"),
    "an attribute of a parameter": (body("make(day.year)  # here"), "move computing into a step"),
    "a float as a key": (body("anything(score(n)[1.5])  # here"), "inside a step"),
    # conditions
    "known condition": (body("make(1)", "with when(True):  # here", "    make(2)"), "use if"),
    "half-known condition": (body("make(1)", "with when((n > 1) & True):  # here", "    make(2)"), "use if"),
    "comparing with an object": (body("with when(n > object()):  # here", "    make(2)"), "an Enum, or lists"),
    "comparing with a table": (body("with when(make(n) == rows):  # here", "    make(2)"), "an Enum, or lists"),
    # map
    "map over a number": (body("make.map(3)  # here"), "map over a list"),
    "map over a date": (body("anything.map(day)  # here"), "map over a list"),
    "map over a frame": (body("anything.map(frame())  # here"), "map over a list"),
    "map over a dict": (body("anything.map({'a': make(n)})  # here"), "map over a list"),
    "map over a table": (body("anything.map(rows)  # here"), "map over a list"),
    "map without arguments": (body("frame.map([1])  # here"), ""),
    "map with the first argument twice": (body("make.map([1], n=2)  # here"), "its arguments are"),
    # order
    "after nothing": (body("make(1, after='text')  # here"), "after=loaded"),
    "after a parameter": (body("make(1, after=n)  # here"), "after=loaded"),
    # tables
    "a number as rows": (body("rows.append(make(1))  # here"), "a frame"),
    "a dict as rows": (body("rows.append(score(1))  # here"), "a frame"),
    "None as a key": (body("rows.merge(frame(), key=None)  # here"), ""),
    "an empty name": (body("make.options(name='')(1)  # here"), "letters, digits"),
    "merge without a key": (body("rows.merge(frame(), key=[])  # here"), "name columns"),
    "unknown schema mode": (body("rows.append(frame(), schema_mode='any')  # here"), "strict"),
    "rows that are no frame": (body("rows.append([1, 2])  # here"), "frame"),
    "a parameter as rows": (body("rows.append(names)  # here"), "frame"),
    "append outside": ("rows.append(1)  # here\n", "trikk ingest"),
    # pipelines
    "no steps": (body("pass").replace("@pipeline", "@pipeline  # here"), "call a step"),
    "calling a pipeline": (body("good(1)  # here"), "trikk run good"),
    "calling a pipeline at the top": ("good(1)  # here\n", "trikk run good"),
    "a pipeline in a pipeline": (
        body("@pipeline  # here", "def inner():", "    make(1)", "make(2)"),
        "",
    ),
    "another pipeline's output": (body("anything(leaked)  # here"), "did you mean anything?"),
    "another pipeline's order": (body("make(1, after=leaked)  # here"), "there are: make"),
    "another pipeline's parameter": (body("make(leaked_parameter)  # here", parameters="m: int"), "there are: m"),
    "another pipeline's condition": (
        body("with when(leaked_parameter > 1):", "    make(2)  # here", parameters=""),
        "there is no parameter yet",
    ),
    "an async pipeline": ("@pipeline  # here\nasync def wrong(n: int):\n    make(n)\n", "plain function"),
    "a generator as pipeline": ("@pipeline  # here\ndef wrong(n: int):\n    yield make(n)\n", "plain function"),
    "an exception in the body": (body("make(1)", "1 / 0  # here"), "move computing into a step"),
    "an exception in a helper": (
        "def helper():\n    raise KeyError('x')  # here\n" + body("make(1)", "helper()"),
        "move computing into a step",
    ),
    "star parameters": ("@pipeline  # here\ndef wrong(*n: int):\n    make(1)\n", "name each parameter"),
    "no annotation": ("@pipeline  # here\ndef wrong(n):\n    make(1)\n", "annotate it as"),
    "unsupported annotation": ("@pipeline  # here\ndef wrong(n: bytes):\n    make(1)\n", "annotate it as"),
    "unresolved annotation": ("@pipeline  # here\ndef wrong(n: Nowhere):\n    make(1)\n", "annotate it as"),
    "a default of another type": ("@pipeline  # here\ndef wrong(n: int = '1'):\n    make(1)\n", "a whole number"),
    "an unserialisable default": (
        "@pipeline  # here\ndef wrong(n: int = object()):\n    make(1)\n",
        "a whole number",
    ),
    "None as default": ("@pipeline  # here\ndef wrong(n: int = None):\n    make(1)\n", "a whole number"),
    "an Enum in a function": (
        (
            "def inside():\n    class Local(enum.Enum):\n        A = 1\n\n"
            "    def wrong(c):  # here\n        make(1)\n\n"
            "    wrong.__annotations__['c'] = Local\n    pipeline(wrong)\n\ninside()\n"
        ),
        "top level",
    ),
    "pipeline time-out": ("@pipeline(timeout='soon')  # here\ndef wrong():\n    make(1)\n", "10s"),
    "hostile pipeline name": ("@pipeline(name='a b')  # here\ndef wrong():\n    make(1)\n", "letters, digits"),
    "pipeline of no function": ("pipeline('x')  # here\n", "above a function"),
    # steps
    "async step": ("@step  # here\nasync def wrong(): ...\n", "plain function"),
    "generator step": ("@step  # here\ndef wrong():\n    yield 1\n", "plain function"),
    "async generator step": ("@step  # here\nasync def wrong():\n    yield 1\n", "plain function"),
    "step of no function": ("step('name')  # here\n", "above a function"),
    "step of a partial": ("step(partial(print, 1))  # here\n", "above a function"),
    "lambda step": ("step(lambda: 1)  # here\n", "letters, digits"),
    "private step": ("@step  # here\ndef _wrong(): ...\n", "letters, digits"),
    "step time-out": ("@step(timeout=-1)  # here\ndef wrong(): ...\n", "10s"),
    "retry": ("@step(retry=Retry(0))  # here\ndef wrong(): ...\n", "1 to 100"),
    "retry delay": ("@step(retry=Retry(delay='soon'))  # here\ndef wrong(): ...\n", "10s"),
    "resources": ("@step(resources=Resources(memory='x'))  # here\ndef wrong(): ...\n", "4GB"),
    "cache": ("@step(cache=Cache(packages=[1]))  # here\ndef wrong(): ...\n", "Cache(variables="),
    "options in a call": (body("make.options(timeout='soon')(1)  # here"), "10s"),
    "when outside": ("with when(True):  # here\n    pass\n", "use if"),
    "hostile table": ("Table('../x')  # here\n", "letters, digits"),
    "a long table name": ("Table('x' * 300)  # here\n", "at most 100"),
    "a misspelt argument": ("Report('monthly', monitor=['people'])  # here\n", "did you mean monitors=?"),
    "a misspelt argument of a monitor": (
        "Monitor('people', prediktions=rows)  # here\n",
        "did you mean predictions=?",
    ),
    "a missing argument": ("FeatureTable('loads', entity='line')  # here\n", "it takes name, entity, time"),
    "an unknown argument": ("Alarm('loss', colour='red')  # here\n", "it takes name, when"),
    "a call without an argument": (body("predict(Model('people'), rows, slot='at')  # here"), "correct the call"),
    "a password in a url": (body("sql('postgresql://u:secret@h/d', 'select 1')  # here"), ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_its_line_and_its_mend(name: str, define: Callable[[str], ModuleType]) -> None:
    source, mend = MISTAKES[name]
    with pytest.raises(UsageError) as error:
        define(source)
    assert error.value.where is not None, error.value
    file, _, line = error.value.where.partition(" and ")[0].rpartition(":")
    written = Path(file).read_text().splitlines()
    assert Path(file).stem.startswith("definition_")
    assert "# here" in written[int(line) - 1], error.value
    assert mend in (error.value.next or ""), error.value
    assert error.value.next
