"""Which parameters a search tries next: a grid, or Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from trikk.core.errors import MissingExtra
from trikk.core.values import JSON
from trikk.tracking.space import Choices, Space, grid


class Proposer(Protocol):
    """Gives trials, and learns how they went."""

    def next(self) -> tuple[int, dict[str, JSON]] | None:
        """The number (from 0) and the searched parameters of another trial; None if there are no more."""

    def tell(self, number: int, value: float | None) -> None:
        """How a trial went; None if it has no value."""

    def known(self, number: int, parameters: Mapping[str, JSON], value: float | None) -> None:
        """A trial that is over already; `next` will not give it. Called by number, before anything else."""


class Grid:
    """Every combination once, in order."""

    def __init__(self, space: Space) -> None:
        self._left = dict(enumerate(grid(space)))

    def next(self) -> tuple[int, dict[str, JSON]] | None:
        """The first combination that is left."""
        if not self._left:
            return None
        number = next(iter(self._left))
        return number, self._left.pop(number)

    def tell(self, number: int, value: float | None) -> None:
        """A grid does not learn."""

    def known(self, number: int, parameters: Mapping[str, JSON], value: float | None) -> None:  # noqa: ARG002
        """Leave it out."""
        self._left.pop(number, None)


class Optuna:
    """Optuna's TPE sampler, seeded, in memory; its trials are as many as the search has.

    One trial at a time gives the same parameters for the same seed and values; with several at once it depends on
    which ends first.

    Raises:
        MissingExtra: if Optuna is not installed.
    """

    def __init__(self, space: Space, trials: int, seed: int, *, maximize: bool) -> None:
        try:
            import optuna
        except ImportError as error:
            raise MissingExtra("a search with --optuna", "optuna") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna: Any = optuna
        self._choices = {n: p.values for n, p in space.searched.items() if isinstance(p, Choices)}
        self._distributions = {name: self._distribution(part) for name, part in space.searched.items()}
        # With several at once, trials that are going on count as bad ones, or all would be alike (Optuna:
        # constant_liar).
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._left = trials
        self._asked: dict[int, Any] = {}

    def next(self) -> tuple[int, dict[str, JSON]] | None:
        """What the sampler thinks promising."""
        if self._left <= 0:
            return None
        self._left -= 1
        trial = self._study.ask(self._distributions)
        self._asked[trial.number] = trial
        return trial.number, {name: self._value(name, value) for name, value in trial.params.items()}

    def tell(self, number: int, value: float | None) -> None:
        """Let the sampler learn."""
        if number in self._asked:
            state = self._optuna.trial.TrialState
            outcome = state.FAIL if value is None else state.COMPLETE
            self._study.tell(self._asked.pop(number), value, state=outcome)

    def known(self, number: int, parameters: Mapping[str, JSON], value: float | None) -> None:
        """Put it among the sampler's trials, which it numbers itself; one that nobody wrote down leaves a gap."""
        states = self._optuna.trial.TrialState
        while len(self._study.trials) < number:
            self._study.add_trial(self._optuna.trial.create_trial(state=states.FAIL))
        params = {name: self._key(name, parameters[name]) for name in self._distributions}
        given: dict[str, Any] = {"params": params, "distributions": self._distributions}
        given |= {"state": states.FAIL} if value is None else {"state": states.COMPLETE, "value": value}
        self._study.add_trial(self._optuna.trial.create_trial(**given))
        self._left -= 1

    def _distribution(self, part: Any) -> Any:
        kinds = self._optuna.distributions
        if isinstance(part, Choices):
            # By position: Optuna takes only plain scalars as choices.
            return kinds.CategoricalDistribution(range(len(part.values)))
        if part.whole:
            return kinds.IntDistribution(int(part.low), int(part.high), log=part.log)
        return kinds.FloatDistribution(part.low, part.high, log=part.log)

    def _value(self, name: str, proposed: Any) -> JSON:
        """A choice is known to the sampler by its position, as it may be a list or None."""
        value: JSON = self._choices[name][proposed] if name in self._choices else proposed
        return value

    def _key(self, name: str, value: Any) -> Any:
        return self._choices[name].index(value) if name in self._choices else value
