"""Steps that say where they ran, and steps that do to their process what no step should."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from trikk import Resources, Retry, pipeline, secret, step

log = logging.getLogger("author")


def note(name: str, text: str) -> None:
    with Path(name).open("a") as file:
        file.write(f"{text}\n")


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def square(number: int) -> int:
    return number * number


@step
def total(squares: list[int]) -> int:
    return sum(squares)


@step(resources=Resources(cpus=1, memory="50MB"))
def speaks(count: int) -> str:
    print("printed", count)
    log.info("logged with %s", secret("PASSPHRASE"))
    program = "import os; print('by a program', os.environ['PASSPHRASE'])"
    subprocess.run([sys.executable, "-c", program], check=True)
    print("to stderr", file=sys.stderr)
    return ",".join({"a", "b", "c", "d", "e"})  # in the order of their hashes


@pipeline
def squares(count: int = 20):
    rows = total(square.map(numbers(count)))
    speaks(rows)


@step(retry=Retry(attempts=2, delay=0))
def exits(code: int) -> int:
    print("about to exit")
    sys.exit(code)


@step(timeout="1s")
def sleeps(seconds: float) -> int:
    child = subprocess.Popen(["sleep", "300"])
    note("pids", f"{os.getpid()} {child.pid}")
    time.sleep(seconds)
    return 1


@step
def dies(times: int) -> int:
    note("deaths", "x")
    count = len(Path("deaths").read_text().splitlines())
    if count <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return count


@pipeline
def faults():
    exits(0)
    sleeps(300.0)
    dies(2)


@step
def works(number: int, seconds: float) -> int:
    print("number", number, flush=True)
    note("begun", f"{number} {os.getpid()}")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not Path("go").exists():
        time.sleep(0.05)
    return number


@pipeline
def busy(count: int = 6, seconds: float = 300.0):
    total(works.map(numbers(count), seconds=seconds))


@step(resources=Resources(gpus=2))
def needs() -> int:
    return 1


@pipeline
def graphics():
    needs()
