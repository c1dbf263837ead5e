from __future__ import annotations

import ast
import enum
import importlib
import json
import math
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import polars as pl
import pytest

from trikk import Cache, Resources, Retry, Table, pipeline, sql, step, when
from trikk.core.errors import ParameterError
from trikk.pipeline.arguments import Constant, Group, OutputRef, ParameterRef, TableRef
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.pipeline import Pipeline, parameters_for
from trikk.pipeline.symbols import Output

rows = Table("rows")
other = Table("other")


class Colour(enum.Enum):
    RED = 1


class Fit(NamedTuple):
    model: str
    error: float


@step
def days(n: int = 2) -> list[int]:
    """How many."""
    return list(range(n))


@step
def double(day: int, by: int = 2) -> int:
    return day * by


@step
def fit(data: Any, rate: float = 0.1) -> Fit:
    return Fit(f"{data}", rate)


@step
def pair() -> tuple[int, str]:
    return 1, "a"


@step
def read(frame: pl.LazyFrame) -> pl.DataFrame:
    return frame.collect()


@step
def use(*, value: Any = None, **more: Any) -> None: ...


def nodes(made: Pipeline) -> dict[str, Node]:
    """The nodes after a journey through JSON."""
    graph = Graph.read(json.loads(json.dumps(made.graph.to_json())))
    assert graph == made.graph
    return dict(graph.nodes)


# ---- steps are functions


def test_a_step_is_the_function_that_it_decorates() -> None:
    assert days(3) == [0, 1, 2]
    assert days.map([1, 2]) == [[0], [0, 1]]
    assert double.map([1, 2], by=3) == [3, 6]
    assert (days.__name__, days.__doc__, days.__module__) == ("days", "How many.", __name__)
    assert double.options(name="x", retry=Retry(2))(2) == 4
    assert isinstance(fit(1), Fit)


def test_a_pipeline_is_traced_once_and_calls_no_step() -> None:
    calls = []

    @step
    def counted() -> None:
        calls.append("step")

    @pipeline
    def p() -> None:
        calls.append("body")
        counted()

    assert calls == ["body"]
    assert list(p.graph.nodes) == ["counted"]
    assert (p.name, p.__name__) == ("p", "p")


def test_a_failed_trace_leaves_steps_plain() -> None:
    with pytest.raises(Exception, match="can't be traced"):

        @pipeline
        def p() -> None:
            raise ValueError

    assert days(1) == [0]


# ---- edges


def test_arguments_become_edges() -> None:
    @pipeline
    def p(n: int, colour: Colour = Colour.RED) -> None:
        """One line.

        And more.
        """
        first = days(n)
        fit([first, 1, {"a": first}], rate=1)
        use(value=Colour.RED, t=(1, date(2020, 1, 1)), c=colour, d={"x": rows})

    found = nodes(p)
    assert p.graph.doc == "One line."
    assert found["days"].arguments == {"n": ParameterRef("n")}
    inner = Group((OutputRef("days"),), ("a",))
    assert found["fit"].arguments["data"] == Group((OutputRef("days"), Constant(1), inner))
    used = found["use"].arguments
    assert used["c"] == ParameterRef("colour")
    assert used["d"] == Group((TableRef("rows", ()),), ("x",))
    assert isinstance(used["value"], Constant)
    assert found["fit"].upstream() == ("days",)


def test_nodes_know_the_authors_lines() -> None:
    @pipeline
    def p() -> None:
        days(1)
        rows.append(pl_frame())

    first = p.function.__code__.co_firstlineno + 2
    assert [n.where for n in p.graph.nodes.values()] == [f"{__file__}:{first + i}" for i in (0, 1, 1)]


@step
def pl_frame() -> pl.DataFrame:
    return pl.DataFrame({"a": [1]})


def test_several_outputs_are_unpacked_indexed_and_named() -> None:
    @pipeline
    def p() -> None:
        number, text = pair()
        both = pair()
        made = fit(number)
        use(a=number, b=text, c=both[1], d=both[-1], e=made.model, f=made[1], g=both)

    found = nodes(p)
    assert found["pair"].outputs == 2
    assert found["use"].arguments == {
        "a": OutputRef("pair", 0),
        "b": OutputRef("pair", 1),
        "c": OutputRef("pair-2", 1),
        "d": OutputRef("pair-2", 1),
        "e": OutputRef("fit", 0),
        "f": OutputRef("fit", 1),
        "g": OutputRef("pair-2"),
    }


def test_keys_pick_from_outputs() -> None:
    @step
    def score() -> dict[str, Any]:
        return {}

    @pipeline
    def p() -> None:
        use(a=score()["mae"]["north"][0])

    assert nodes(p)["use"].arguments["a"] == OutputRef("score", None, ("mae", "north", 0))


def test_map_takes_the_first_argument() -> None:
    @pipeline
    def p(given: list[int]) -> None:
        a = double.map(days(3), by=4)
        double.map(given)
        double.map([1, 2])
        use(a=a)

    found = nodes(p)
    assert [found[n].mapped for n in ("double", "double-2", "double-3")] == ["day"] * 3
    assert found["double"].arguments == {"day": OutputRef("days"), "by": Constant(4)}
    assert found["double"].outputs is None


def test_calls_of_one_step_are_numbered_and_can_be_named() -> None:
    @step(name="load")
    def anything() -> None: ...

    @pipeline
    def p() -> None:
        for _ in range(3):
            days(1)
        days.options(name="last")(1)
        anything()
        anything()
        sql("sqlite:///x.db", "select 1")
        sql("sqlite:///x.db", "select 2")

    assert list(nodes(p)) == ["days", "days-2", "days-3", "last", "load", "load-2", "sql", "sql-2"]


def test_order_without_data() -> None:
    @pipeline
    def p() -> None:
        a, b = days(1), days(2)
        days(3, after=a)
        days.options(after=[a, b])(4, after=b)
        sql("sqlite:///x.db", "select 1", after=a)
        rows.append(pl_frame(), after=[a])

    found = nodes(p)
    assert found["days-3"].after == ("days",)
    assert set(found["days-4"].after) == {"days", "days-2"}
    assert found["sql"].after == ("days",)
    assert found["append_rows"].upstream() == ("pl_frame", "days")


# ---- options


def test_options_and_defaults() -> None:
    mine = Retry(5)

    @step(retry=mine, timeout="1m", resources=Resources(2), cache=Cache("A"), source=True)
    def own() -> None: ...

    @pipeline(retry=Retry(2), timeout=30)
    def p() -> None:
        days(1)
        own()
        own.options(retry=Retry(7), timeout=5, resources=Resources(3), cache=False)()
        rows.append(pl_frame())

    found = nodes(p)
    attempts = [n.retry and n.retry["attempts"] for n in found.values()]
    assert attempts == [2, 5, 7, 2, 2]
    assert [n.timeout for n in found.values()] == [30, 60, 5, 30, 30]
    assert [n.resources["cpus"] for n in found.values()] == [1, 2, 3, 1, 1]
    assert [n.cache is not None for n in found.values()] == [False, True, False, False, False]
    assert [n.source for n in found.values()] == [False, True, True, False, False]


def test_a_step_without_retry_is_tried_once() -> None:
    @pipeline
    def p() -> None:
        days(1)

    assert nodes(p)["days"].retry is None


# ---- conditions


def test_conditions_hold_for_their_block_and_all_of_those_around_it() -> None:
    @pipeline
    def p(limit: int, flag: bool) -> None:
        score = double(1)
        with when(score <= limit):
            days(1)
            with when(flag & (score != 3) | ~(score > 7)):
                rows.append(pl_frame())
        with when(~flag):
            days(2)
        with when(score):
            days(3)
        days(4)

    found = nodes(p)
    shown = {name: [str(c) for c in node.when] for name, node in found.items()}
    assert shown["days"] == ["double <= limit"]
    inner = "((flag) and (double != 3)) or (not (double > 7))"
    assert shown["append_rows"] == shown["pl_frame"] == ["double <= limit", inner]
    assert shown["days-2"] == ["not (flag)"]
    assert shown["days-3"] == ["double"]
    assert shown["days-4"] == []
    assert "double" in found["days"].upstream()


def test_an_exception_in_a_block_ends_it() -> None:
    @pipeline
    def p(flag: bool) -> None:
        try:
            with when(flag):
                raise KeyError
        except KeyError:
            days(1)

    assert nodes(p)["days"].when == ()


# ---- tables


def test_reads_see_the_writes_that_come_before_them_and_no_others() -> None:
    @pipeline
    def p() -> None:
        read(rows)
        rows.append(pl_frame())
        read(rows)
        other.append(pl_frame())
        rows.merge(read(other), key="a")
        read(rows)
        rows.overwrite(pl_frame(), schema_mode="merge")

    found = nodes(p)
    writes = {n: next(iter(node.tables())).writes for n, node in found.items() if list(node.tables())}
    assert writes == {
        "read": (),
        "read-2": ("append_rows",),
        "read-3": ("append_other",),
        "read-4": ("append_rows", "merge_rows"),
    }
    assert found["merge_rows"].after == ("append_rows",)
    assert found["overwrite_rows"].after == ("append_rows", "merge_rows")
    assert found["merge_rows"].write is not None
    assert found["merge_rows"].write.key == ("a",)
    assert p.graph.tables_read() == p.graph.tables_written() == ("other", "rows")
    assert "append_rows" not in found["read"].upstream()


def test_a_table_is_written_in_one_way_as_often_as_one_likes() -> None:
    @pipeline
    def p() -> None:
        for _ in range(3):
            rows.append(pl_frame())
        rows.append([pl_frame(), pl_frame()])
        rows.append(other)

    writes = [n for n, node in nodes(p).items() if node.write]
    assert writes == ["append_rows", *(f"append_rows-{i}" for i in range(2, 6))]


def test_tables_with_long_names_do_not_clash() -> None:
    one, two = Table("x" * 99 + "1"), Table("x" * 99 + "2")

    @pipeline
    def p() -> None:
        one.append(pl_frame())
        two.append(pl_frame())

    assert [n.write.table[-1] for n in nodes(p).values() if n.write] == ["1", "2"]


# ---- parameters


@pipeline
def typed(
    day: date,
    n: int = 1,
    colour: Colour = Colour.RED,
    how: Literal["a", "b"] = "a",
    names: list[str] | None = None,
) -> None:
    days(n)


def test_parameters_are_checked_and_defaults_filled_in() -> None:
    wanted = {"day": "2020-03-26", "n": 3, "colour": "RED", "how": "a", "names": None}
    assert parameters_for(typed.graph, {"day": date(2020, 3, 26), "n": 3}) == wanted
    assert parameters_for(typed.graph, {"day": "2020-03-26", "n": "3"}, text=True) == wanted
    assert parameters_for(Graph.read(typed.graph.to_json()), {"day": "2020-03-26", "n": 3}) == wanted


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(ParameterError) as error:
        parameters_for(typed.graph, {"n": "x", "colour": "BLUE", "dey": "2020-01-01"}, text=True)
    for words in ("dey: no such parameter", "day: missing", "n: 'x' does not fit", "one of RED"):
        assert words in error.value.what
    assert error.value.next == "trikk run typed -p day=..."


def test_a_parameter_named_as_the_stand_ins_own_words() -> None:
    @pipeline
    def p(argument: int, label: int, after: int) -> None:
        use(argument=argument, label=label)
        days(after)

    assert nodes(p)["use"].arguments == {"argument": ParameterRef("argument"), "label": ParameterRef("label")}


def test_a_stand_in_can_be_looked_at_in_a_debugger() -> None:
    seen: list[Output] = []

    @pipeline
    def p(n: int) -> None:
        seen.append(days(n))  # type: ignore[arg-type]
        assert repr(n) == "<parameter n>"

    assert repr(seen[0]) == "<the output of step days>"
    assert not hasattr(seen[0], "_private")


def test_constants_keep_their_types() -> None:
    given = {"a": math.inf, "b": (1, 2), "c": [date(2020, 1, 1)], "d": None, "e": {"$": 1}}

    @pipeline
    def p() -> None:
        use(**given)

    from trikk.core.values import decode

    found = {k: decode(a.value) for k, a in nodes(p)["use"].arguments.items() if isinstance(a, Constant)}
    assert found == given


def test_a_mistake_of_types_is_not_seen_where_none_is_sure() -> None:
    @step
    def loose(frame: pd.DataFrame, n: int | None = None, x: Any = 1) -> object:
        return x

    @pipeline
    def p(n: int, m: int | None = None) -> None:
        loose(pl_frame(), n)
        loose(pl_frame(), m, x=loose(rows))
        double(loose(rows))  # type: ignore[arg-type]

    assert len(nodes(p)) == 7


def modules_after(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules, file=sys.stderr)"]
    return set(subprocess.run(command, capture_output=True, check=True, text=True).stderr.split())


def test_importing_trikk_loads_no_library_and_few_modules() -> None:
    bare = modules_after("pass")
    heavy = {"polars", "deltalake", "click", "rich", "sqlite3", "pandas", "pyarrow", "numpy", "blake3", "asyncio"}
    facade, author = modules_after("import trikk"), modules_after("from trikk import pipeline, step")
    assert not heavy & (facade | author)
    assert {m for m in facade if m.startswith("trikk")} == {
        "trikk",
        "trikk.core",
        "trikk.core.package",
        "trikk.pipeline",
    }
    assert len(author - bare) <= 110  # 18 of them are msgspec and what it loads
    assert not {m.split(".")[1] for m in author if m.startswith("trikk.")} - {"core", "pipeline"}


def test_help_loads_the_terminal_library_and_little_else() -> None:
    code = "from trikk.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
    assert {m for m in modules_after(code) if m.startswith("trikk.")} <= {
        "trikk.cli",
        "trikk.cli.main",
        "trikk.cli.server_option",
        "trikk.core",
        "trikk.core.errors",
        "trikk.core.package",
        "trikk.pipeline",
    }


@pytest.mark.parametrize("package", ["trikk", "trikk.quality"])
def test_a_lazy_package_gives_what_type_checkers_see(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    seen = {
        alias.asname or alias.name: f"{statement.module}"
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    for name, home in seen.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
    assert set(module.__all__) - set(seen) <= {"quality_gate"}
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize(
    "first", ["import trikk.pipeline.graph", "from trikk.pipeline import tracing", "import trikk"]
)
def test_the_decorator_is_no_package_whatever_is_imported_first(first: str) -> None:
    code = f"{first}; import trikk.pipeline.step; from trikk import pipeline; assert callable(pipeline), pipeline"
    assert "trikk.pipeline.pipeline" in modules_after(code)
