"""Clients that ask an endpoint without a pause, and remember every answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Self

import httpx


@dataclass
class Load:
    """Some threads, each with a connection of its own, asking for a = 1, 2, 3 ... (`most`, and again) and b = 0.

    Used as a context: they stop at its end.
    """

    url: str
    clients: int = 4
    most: int = 2**53
    answers: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def ids(self) -> list[str]:
        """The prediction ids that clients have received."""
        return [body["predictions"][0]["prediction_id"] for _, _, body in self.answers]

    def _ask(self) -> None:
        a = 0.0
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._stop.is_set():
                a = a % self.most + 1
                try:
                    answer = client.post("/invocations", json=[{"a": a, "b": 0}])
                except httpx.TransportError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                    return
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code}: {answer.text}")
                    continue
                version = int(answer.headers["x-trikk-model-version"])
                self.answers.append((a, version, answer.json()))
