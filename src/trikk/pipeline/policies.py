"""How a step is to be run: when it is tried again, what it needs of the machine, when an earlier result stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import force_setattr

from trikk.core.durations import Duration, bytes_of, seconds
from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.location import caller, located


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Try a step again after a failure, with exponential back-off.

    The delay before attempt n + 1 is `min(max_delay, delay * factor ** (n - 1))`, of which a random
    share of up to `jitter` is taken away, so that many steps that failed together do not come back together.

    Args:
        attempts: how often the step is tried in all, 1 to 100.
        delay: before the second attempt; seconds or a text such as "1s".
        factor: by which the delay grows, at least 1.
        max_delay: the cap of a delay.
        jitter: share of a delay that is random, 0 to 1.
        on: the exception classes that are tried again; all but `PermanentError` if not given. Time-outs
            and killed processes are tried again whatever `on` says, since no exception was raised.

    Raises:
        UsageError: if a value is out of its range.
    """

    attempts: int
    delay: float
    factor: float
    max_delay: float
    jitter: float
    on: tuple[str, ...]
    classes: tuple[type[BaseException], ...] = field(compare=False, repr=False)

    def __init__(
        self,
        attempts: int = 3,
        *,
        delay: Duration = "1s",
        factor: float = 2.0,
        max_delay: Duration = "1m",
        jitter: float = 0.2,
        on: type[BaseException] | Iterable[type[BaseException]] = Exception,
    ) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 100:
            raise UsageError(
                f"attempts={attempts!r} is out of range", where=caller(), next="use a whole number from 1 to 100"
            )
        if not (factor >= 1 and math.isfinite(factor)):
            raise UsageError(
                f"factor={factor!r} is out of range", where=caller(), next="use a number of at least 1"
            )
        if not 0 <= jitter <= 1:
            raise UsageError(f"jitter={jitter!r} is out of range", where=caller(), next="use a share from 0 to 1")
        classes = (on,) if isinstance(on, type) else tuple(on)
        if not classes or not all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
            raise UsageError(f"on={on!r} is not understood", where=caller(), next="give exception classes")
        # By hand, since `on` is given as classes and kept as names: the driver can't import an author's.
        put: Callable[[str, Any], None] = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("attempts", attempts)
        put("delay", located(seconds, delay, what="delay"))
        put("factor", float(factor))
        put("max_delay", located(seconds, max_delay, what="max_delay"))
        put("jitter", float(jitter))
        put("on", tuple(f"{c.__module__}.{c.__qualname__}" for c in classes))
        put("classes", classes)

    def to_json(self) -> dict[str, JSON]:
        """The policy as JSON; exception classes by name."""
        return {
            "attempts": self.attempts,
            "delay": self.delay,
            "factor": self.factor,
            "max_delay": self.max_delay,
            "jitter": self.jitter,
            "on": list(self.on),
        }

    def delay_after(self, attempt: int, random: float) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (1 is the first); None if it was the last.

        Args:
            attempt: how many attempts there were, at least 1.
            random: a number in [0, 1) that decides the jitter.
        """
        return delay_after(self.to_json(), attempt, random)


def delay_after(policy: dict[str, Any], attempt: int, random: float) -> float | None:
    """`Retry.delay_after` for a policy as JSON, which is what a driver holds."""
    if attempt >= policy["attempts"]:
        return None
    # 100 attempts and a large factor are more than a float holds; 0 times infinity would be NaN.
    try:
        grown = policy["delay"] * policy["factor"] ** (attempt - 1)
    except OverflowError:
        grown = math.inf if policy["delay"] else 0.0
    # The jitter is taken away, not added: `max_delay` is then a promise.
    return float(min(policy["max_delay"], grown) * (1 - policy["jitter"] * random))


class Resources(Record, frozen=True):
    """What one attempt of a step takes while it runs.

    Args:
        cpus: cores; parts of one are allowed (0.5).
        memory: bytes, or a text such as "4GB"; 0 if it is not known.
        gpus: whole accelerators.

    Raises:
        UsageError: if a value is negative or not understood.
    """

    cpus: float = 1.0
    memory: int | str = 0
    gpus: int = 0

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0:
            raise UsageError(
                "a step can't need less than nothing", where=caller(), next="use cpus >= 0 and gpus >= 0"
            )
        force_setattr(self, "memory", located(bytes_of, self.memory, what="memory size"))


class Cache(Record, frozen=True):
    """Reuse a step's result from an earlier run when nothing that it depends on has changed.

    Code that the step reaches in the project, its arguments, the digests of its inputs and Python's minor
    version always count. Declare here what else does.

    Args:
        variables: names of environment variables that the step reads.
        packages: names of installed distributions whose version matters, such as "scikit-learn".
    """

    variables: Iterable[str] = ()
    packages: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name, value in (("variables", self.variables), ("packages", self.packages)):
            names = (value,) if isinstance(value, str) else tuple(value)
            if not all(isinstance(each, str) for each in names):
                raise UsageError(
                    f"{name} of a cache must be names", where=caller(), next='write Cache(variables=["REGION"])'
                )
            force_setattr(self, name, names)
