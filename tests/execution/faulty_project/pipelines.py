"""Steps that go wrong in every way that a step can, and pipelines that show who ran when."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from trikk import PermanentError, Resources, Retry, pipeline, step, when


def note(file: str, text: object) -> None:
    """Add a line to a file of the project."""
    with Path(file).open("a") as out:
        out.write(f"{text}\n")


# -- one step that misbehaves ---------------------------------------------------------------------


def double(number: int) -> int:
    return 2 * number


def daemon() -> int:
    """Leaves a process in a session of its own, which keeps every pipe open."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(3)
        os._exit(0)
    return 1


def thread() -> int:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return 1


def lose_folder() -> int:
    inside = tempfile.mkdtemp()
    os.chdir(inside)
    Path(inside).rmdir()
    return 1


def pools(how: str) -> int:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how)) as pool:
        return sum(pool.map(double, range(4)))


def closes() -> int:
    os.close(1)
    os.close(2)
    raise ValueError("said after closing")


def noisy() -> int:
    print("the beginning", flush=True)
    for _ in range(200):
        os.write(1, b"y" * 999_999 + b"\n")
    raise ValueError("said after the noise")


def crash() -> int:
    ctypes.string_at(0)
    return 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def unspeakable() -> int:
    raise Unspeakable


def raises(error: BaseException) -> int:
    raise error


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


KINDS: dict[str, Any] = {
    "raise": lambda: raises(ValueError("the reason")),
    "exit": lambda: sys.exit(3),
    "exit 0": lambda: sys.exit(0),
    "_exit 0": lambda: os._exit(0),
    "_exit 7": lambda: os._exit(7),
    "interrupt": lambda: raises(KeyboardInterrupt()),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGSEGV": crash,
    "kill all": lambda: os.killpg(0, signal.SIGKILL),
    "noisy": noisy,
    "closes": closes,
    "huge text": lambda: raises(ValueError("x" * 20_000_000)),
    "odd text": lambda: raises(ValueError("\udcff \x00 \x1b[31m")),
    "unspeakable": unspeakable,
    "recursion": lambda: KINDS["recursion"](),
    "text": lambda: "a text",
    "nothing": lambda: None,
    "stdin": lambda: int(input()),
    "daemon": daemon,
    "thread": thread,
    "lose folder": lose_folder,
    "fork": lambda: pools("fork"),
    "spawn": lambda: pools("spawn"),
    "fds": lambda: os.closerange(3, 300),
}


@step
def misbehave(kind: str) -> int:
    return KINDS[kind]()


@pipeline
def faulty(kind: str):
    misbehave(kind)


UNSTORABLE: dict[str, Any] = {
    "lambda": lambda: lambda: 1,
    "lock": threading.Lock,
    "generator": lambda: (i for i in range(3)),
    "file": lambda: Path("trikk.toml").open(),  # noqa: SIM115
    "endless": endless,
}


@step
def unstorable(kind: str) -> Any:
    return UNSTORABLE[kind]()


@pipeline
def unstored(kind: str):
    unstorable(kind)


@step
def wrong_length() -> tuple[int, str]:
    return (1, "a", 2)  # type: ignore[return-value]


@pipeline
def tuples():
    wrong_length()


# -- time -----------------------------------------------------------------------------------------


@step
def hang(deaf: bool) -> int:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    note("pids", f"{os.getpid()} {child.pid}")
    time.sleep(600)
    return 1


@step
def soon(before: int) -> int:
    return before + 1


@pipeline
def hangs(deaf: bool = False):
    hang.options(timeout="300ms")(deaf)


@pipeline
def hangs_twice():
    hang.options(timeout="200ms", retry=Retry(2, delay=0.01))(False)


@pipeline
def long(deaf: bool = False):
    first = soon.options(name="before")(1)
    waiting = hang.options(after=[first])(deaf)
    soon.options(name="later")(waiting)


# -- retries --------------------------------------------------------------------------------------


class Flaky(Exception):
    pass


@step(retry=Retry(3, delay="10ms", on=Flaky))
def flaky(times: int, kind: str) -> int:
    note("attempts", kind)
    if len(Path("attempts").read_text().splitlines()) <= times:
        raise {"flaky": Flaky, "value": ValueError, "permanent": PermanentError}[kind](kind)
    return times


@pipeline
def retried(times: int, kind: str = "flaky"):
    flaky(times, kind)


# -- resume ---------------------------------------------------------------------------------------


@step
def made(n: int) -> list[int]:
    note("ran", "made")
    return list(range(n))


@step
def each(number: int) -> int:
    note("ran", f"each {number}")
    if number == 2 and not Path("mended").exists():
        raise ValueError("not mended")
    return number * 10


@step
def total(numbers: list[int]) -> int:
    note("ran", "total")
    return sum(numbers)


@pipeline
def mapped(n: int = 4):
    total(each.map(made(n)))


@step
def aside() -> int:
    note("ran", "aside")
    time.sleep(0.3)
    return 1


@pipeline
def branches():
    total(each.map([2]))
    total.options(name="other")([aside()])


# -- conditions -----------------------------------------------------------------------------------


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Score(NamedTuple):
    value: float
    label: str


@step
def score(value: float) -> dict[str, float]:
    return {"mae": value}


@step
def scores(value: float) -> Score:
    return Score(value, "first")


@step
def pair(n: int) -> tuple[int, str]:
    return n, str(n)


@step
def moody(mood: Mood) -> Mood:
    return mood


@step
def act(what: Any = None) -> str:
    return f"done {what}"


@pipeline
def conditions(value: float = 1.0, mood: Mood = Mood.GOOD, day: date = date(2020, 3, 2)):
    found = score(value)
    with when(found["mae"] < 2.0):
        low = act.options(name="low")(found)
        act.options(name="below")(low)
    act.options(name="afterwards", after=[low])()
    with when(mood == Mood.GOOD):
        act.options(name="good")()
    felt = moody(mood)
    with when(felt == Mood.BAD):
        act.options(name="bad")()
    with when(day >= date(2020, 3, 1)):
        act.options(name="late")()
    for number in range(3):
        act.options(name=f"loop_{number}")(number)
    first = scores(value)
    act.options(name="label")(first.label)
    number, text = pair(3)
    act.options(name="number")(number)
    act.options(name="text")(text)


# -- how many at once -----------------------------------------------------------------------------


def interval() -> None:
    began = time.monotonic()
    time.sleep(0.25)
    note("intervals", f"{began} {time.monotonic()}")


@step
def small(number: int) -> int:
    interval()
    return number


@step(resources=Resources(cpus=0.1))
def tiny(number: int) -> int:
    interval()
    return number


@step(resources=Resources(cpus=1000))
def large(number: int) -> int:
    interval()
    return number


@step(resources=Resources(cpus=0))
def free(number: int) -> int:
    return number


@pipeline
def parallel(n: int = 4):
    small.map(made(n))


@pipeline
def parallel_tiny(n: int = 6):
    tiny.map(made(n))


@pipeline
def alone(n: int = 2):
    large.map(made(n))


@pipeline
def crowd(n: int):
    free.map(made(n))


@step(resources=Resources(gpus=1000))
def fast() -> int:
    return 1


@pipeline
def accelerated():
    fast()


# -- replay ---------------------------------------------------------------------------------------


@step
def dice(n: int) -> list[float]:
    import numpy as np

    return [random.random() for _ in range(n)] + [float(x) for x in np.random.random(n)]


@step
def really_random(n: int) -> list[int]:
    return list(os.urandom(n))


@pipeline
def seeded(n: int = 3):
    dice(n)


@pipeline
def unseeded(n: int = 3):
    really_random(n)


# -- days -----------------------------------------------------------------------------------------


@step
def nightly(day: date) -> str:
    if Path(f"bad-{day}").exists():
        raise ValueError("a bad day")
    return day.isoformat()


@pipeline
def night(day: date):
    nightly(day)


@pipeline
def dated(day: date, text: str = "x"):
    nightly(day)


@pipeline
def two_days(day: date, other: date):
    nightly(day)
    nightly.options(name="again")(other)


@step
def text(value: str) -> str:
    return value


@pipeline
def texts(value: str):
    """Keeps a text."""
    text(value)


@step
def not_a_number() -> dict[str, float]:
    return {"a": float("nan"), "b": float("inf")}


@pipeline
def nan():
    not_a_number()
