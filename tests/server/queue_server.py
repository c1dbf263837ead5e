"""A server that does nothing but look after the queue: `python -m tests.server.queue_server ROOT`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from trikk.execution.project import Project
from trikk.server.queue.dispatcher import Dispatcher
from trikk.server.queue.warm_launcher import open_launcher

if __name__ == "__main__":
    project, awake = Project.open(Path(sys.argv[1])), threading.Event()
    dispatcher = Dispatcher(project, open_launcher(project, awake.set))
    while True:
        awake.wait(dispatcher.turn(time.time()))
        awake.clear()
