"""What cron does: `python cron_by_hand.py SECONDS SIZE SLOTS` starts an interpreter for each job at a moment."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

if __name__ == "__main__":
    due, size, slots = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    time.sleep(max(0.0, due - time.time()))

    def job(number: int) -> None:
        code = f"import workload; workload.begin('{number}')"
        subprocess.run([sys.executable, "-c", code], check=True)

    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(job, range(size)))
    time.sleep(600)
