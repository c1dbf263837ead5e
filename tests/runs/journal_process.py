"""What the journal's tests let other processes do: `python journal_process.py LOCATION WHAT [ARGUMENTS]`.

Each says "ready", waits for a line, and then does it, so that several begin together.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from trikk.core.errors import LeaseHeld, RunExists
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.open_journal import open_journal


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def append(journal: Journal, run: str, who: str, count: str) -> None:
    for number in range(int(count)):
        say(str(journal.append(run, "note", {"who": who, "number": number}, at=0.0).seq))


def create(journal: Journal, run: str) -> None:
    try:
        say(f"made {journal.create(run, 'p', {}, at=0.0).seq}")
    except RunExists:
        say("exists")


def acquire(journal: Journal, run: str) -> None:
    try:
        say(f"taken {journal.acquire(run, Holder.current(), ttl=60, now=time.time()).epoch}")
    except LeaseHeld:
        say("held")
    sys.stdin.readline()  # keeps the process, and so its lease, alive


def fork(journal: Journal, run: str, count: str) -> None:
    """Parent and child append with the journal that was opened before the fork."""
    journal.append(run, "note", {"who": "before"}, at=0.0)
    child = os.fork()
    for number in range(int(count)):
        journal.append(run, "note", {"who": "parent" if child else "child", "number": number}, at=0.0)
    if not child:
        journal.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    journal.append(run, "note", {"who": "after"}, at=0.0)
    say(str(len(journal.events(run))))


def threads(journal: Journal, run: str, count: str) -> None:
    def work(who: str) -> None:
        for number in range(int(count)):
            journal.append(run, "note", {"who": who, "number": number}, at=0.0)

    workers = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    say(str(len(journal.events(run))))


def main(location: str, what: str, *arguments: str) -> None:
    tasks = {"append": append, "create": create, "acquire": acquire, "fork": fork, "threads": threads}
    if what == "open":
        say("ready")
        sys.stdin.readline()
    journal = open_journal(location)
    if what in tasks:
        say("ready")
        sys.stdin.readline()
        tasks[what](journal, *arguments)
    else:
        say(f"opened {journal.count()}")
    journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
