"""Steps that begin spans of their own, by nothing but OpenTelemetry's interface, and end in all ways."""

import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opentelemetry import trace

from trikk import Retry, pipeline, step

tracer = trace.get_tracer("people", "1.2")


@step
def rows() -> list[int]:
    with tracer.start_as_current_span("download") as span:
        span.set_attribute("pages", [1, 2])
        with tracer.start_as_current_span("page"):
            print("two pages")
    return [1, 2, 3]


@step
def square(n: int) -> int:
    with ThreadPoolExecutor(1) as pool:  # a thread that knows of no span
        return pool.submit(multiplied, n).result()


@tracer.start_as_current_span("multiply")
def multiplied(n: int) -> int:
    return n * n


@step(retry=Retry(2, delay=0))
def total(numbers: list[int]) -> int:
    logging.getLogger("people").warning("adding %d", len(numbers))
    if not Path("flaky").exists():
        Path("flaky").touch()
        raise OSError("not yet")
    return sum(numbers)


@step
def killed(n: int) -> int:
    with tracer.start_as_current_span("finished"):
        pass
    with tracer.start_as_current_span("cut off"):
        if Path("healed").exists():
            return n
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@step(timeout="1s")
def slow(n: int) -> int:
    with tracer.start_as_current_span("waits"):
        time.sleep(0 if Path("healed").exists() else 60)
    return n


@step
def waits(n: int) -> int:
    with tracer.start_as_current_span("before"):
        pass
    Path("waits").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return n


@pipeline
def people():
    total(square.map(rows()))


@pipeline
def hurt():
    killed(1)
    slow(2)


@pipeline
def patient():
    waits(square(3))
