"""One publication on its way: what is shared by all that can carry it, Kafka, MQTT and streams."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.core.errors import PermanentError
from trikk.publishing.broker_address import Address
from trikk.publishing.broker_messages import Messages
from trikk.publishing.publication_records import PublicationRecords
from trikk.runs.context import StepContext


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is needed to send a publication.

    Attributes:
        messages: what to send.
        identity: what makes it this publication, for people; `messages.publication` for machines.
        address: where to.
        patience: seconds for which a broker that is away is tried again.
        records: what earlier attempts did.
        context: the step; None outside of a run.
    """

    messages: Messages
    identity: str
    address: Address
    patience: float
    records: PublicationRecords
    context: StepContext | None

    def waiting(self, sent: int) -> str:
        """What to do when the rest could not be sent."""
        count = f"{len(self.messages) - sent:,} of {len(self.messages):,} messages wait"
        if self.records.run:
            return f"{count}, their rows are kept with the run; send them: trikk resume {self.records.run}"
        return f"{count}; publish again with the same identity"

    def other_rows(self, sent: int) -> PermanentError:
        """The error for rows that are not those of which some were sent before."""
        return PermanentError(
            f"{sent:,} messages of other rows were published as {self.identity} before",
            where=self.address.label,
            next="they stay; start a new run to publish the present rows",
        )
