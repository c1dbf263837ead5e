"""What a driver and its carrier say to each other, as a driver and a host do (`trikk.execution.workers.wire`).

driver -> carrier    Look + RunSetup, Start + StepCall, Kill
carrier -> driver    Joined, Looked, Refused, Began, Over + StepResult
"""

from __future__ import annotations

from trikk.core.record import Record
from trikk.execution.workers.executor import Began
from trikk.execution.workers.wire import Kill, Over, Refused, Start


class ClusterNode(Record, frozen=True):
    """A node of the cluster, with what it has for tasks: cores, bytes of memory, accelerators."""

    name: str
    cpus: float
    memory: float
    gpus: int


class NodeView(Record, frozen=True):
    """What a node sees of the project.

    Attributes:
        name: the node's address.
        boot: its kernel's boot id, by which machines are told apart; empty if unknown.
        version: of its trikk.
        missing: of the folders of the project that it should see, by what they are for, those that it does not.
        error: why the run's code can't be run there; None if it can.
    """

    name: str
    boot: str
    version: str
    missing: list[str]
    error: str | None


class RunSetup(Record, frozen=True):
    """What a worker elsewhere has to know of a project, beside its code: no secret, but names of variables.

    Attributes:
        code: digest of the run's code bundle.
        root: the project's folder, where the driver is.
        places: where artifacts, tables and the journal are: paths, or addresses as they are written.
        marks: for what is kept in a folder, a file in it by which a node knows whether it sees that folder.
        environment: the environment's name.
        log_limit: bytes of one attempt's log that are kept.
        sink: the name of the actor that takes what is logged meanwhile.
    """

    code: str
    root: str
    places: dict[str, str]
    marks: dict[str, str]
    environment: str
    log_limit: int
    sink: str


class Look(Record, frozen=True, tag=True):
    """Say what each node sees of the project; the load is the `RunSetup` of all calls from now on."""

    fresh: bool


class Joined(Record, frozen=True, tag=True):
    """The cluster is there."""

    nodes: list[ClusterNode]


class Looked(Record, frozen=True, tag=True):
    """What each node sees."""

    views: list[NodeView]


ToCarrier = Look | Start | Kill
FromCarrier = Joined | Looked | Refused | Began | Over
