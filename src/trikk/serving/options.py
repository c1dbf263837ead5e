"""What an endpoint is told: which model, where it listens, what it logs, and where its limits are."""

from __future__ import annotations

from dataclasses import dataclass, field

from trikk.access.doorkeeping import Doorkeeping
from trikk.serving.http.batching import Limits

MAX_BODY = 6_000_000
"""Bytes of a body; SageMaker's own limit for real-time inference is 6 MB (docs.aws.amazon.com, hosting FAQs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Doorkeeping):
    """An endpoint's settings."""

    reference: str  # "name@alias" (followed as it moves), "name" (the newest version), "name:3" (that one)
    environment: str  # whose aliases
    port: int = 8080  # the port; 0 for a free one
    table: str | None = None  # the table that predictions are logged to; None for no log
    # fields of a request that name what the prediction is about; logged, not given to the model unless it takes
    # them
    key: tuple[str, ...] = ()
    slot: str | None = None  # the field with the time that the prediction is about, or None
    truth: str = ""  # the table with the truth, whose types the log's key has; "" if it is not known
    log_inputs: bool = True  # whether the model's inputs are logged, as JSON
    durable: bool = False  # whether the log is synced to the disk before an answer is sent
    flush: float = 10.0  # seconds after which logged predictions are put into the table
    max_body: int = MAX_BODY  # bytes of a body, also after decompression
    max_rows: int = 100_000  # rows of a request
    queue: int = 1000  # requests that may wait; more are refused with 503
    timeout: float = 60.0  # seconds that a request may take; then it is answered 504
    load_timeout: float = 300.0  # seconds that a worker may take to load a version and try it; then it is ended
    workers: int = 1  # processes with the model loaded
    connections: int = 1000  # the most that may be open at once; fewer where the process may open fewer files
    poll: float = 0.2  # seconds between looks at the registry
    wait: bool = False  # start without a model, and wait for the alias to have one
    batch: Limits = field(default_factory=Limits)  # what is answered together

    @property
    def model(self) -> str:
        """The model's name."""
        return self.reference.partition("@")[0].partition(":")[0]

    @property
    def extra(self) -> tuple[str, ...]:
        """The fields that are logged under their own names: the key, and the slot."""
        return (*self.key, self.slot) if self.slot else self.key
