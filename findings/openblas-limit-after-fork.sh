#!/bin/sh
# numpy 2.4.6 with threadpoolctl 3.8.0, Python 3.11, Linux: a limit of one thread that starts threads.
#
# A forked process has no OpenBLAS threads, and asking for the limit starts none. Setting the limit starts all of
# them anew, one less than there are cores, and each spins before it rests. To set the limit once, before the
# fork, and in the child only where it is another one, costs nothing.
#
# Needs two cores. Seen on 30 November 2026; ends with another code than 0 if this is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 threadpoolctl==3.8.0
OPENBLAS_NUM_THREADS=2 "$folder/venv/bin/python" - <<'EOF'
import os
import time

import numpy  # noqa: F401  # with its OpenBLAS
from threadpoolctl import ThreadpoolController

pools = ThreadpoolController()


def in_a_fork(sets):
    """Threads that a child has after it has asked for the limit or set it to 1, and CPU seconds in 0.3 s of sleep."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        limits = [pool.num_threads for pool in pools.lib_controllers]
        if sets:
            pools.limit(limits=1)
        time.sleep(0.3)
        spent = sum(os.times()[:2])
        os.write(writes, f"{len(os.listdir('/proc/self/task'))} {spent} {limits}".encode())
        os._exit(0)
    os.close(writes)
    threads, spent, limits = os.read(reads, 4096).decode().split(maxsplit=2)
    os.wait()
    print(f"{'set' if sets else 'asked':6} threads {threads}, CPU {float(spent):.2f} s, limit before {limits}")
    return int(threads)


asked, was_set = in_a_fork(sets=False), in_a_fork(sets=True)
pools.limit(limits=1)
again = in_a_fork(sets=False)
raise SystemExit(not (asked == again == 1 and was_set == 2))
EOF
