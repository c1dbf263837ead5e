"""Two nodes of Ray in a network of their own, until this process ends: a program that `ray_cluster.py` starts.

Ray's processes listen on all addresses whatever they are told, so it runs where the loopback is all there is.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # netdevice(7)
_STORE = "80000000"  # bytes, about the least that Ray takes
_SECONDS = 100
_PATIENT = {"RAY_raylet_start_wait_time_s": str(_SECONDS), "RAY_agent_register_timeout_ms": f"{_SECONDS}000"}


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        fcntl.ioctl(device, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG; `ray start --block` ends its node then


def start_node(address: str, log: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a node with one core on a loopback address; returns when it is there; RuntimeError if it is not."""
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "start", "--block", f"--node-ip-address={address}", "--num-cpus=1", "--disable-usage-stats"]
    command += ["--memory=500000000", f"--object-store-memory={_STORE}", *more]
    with log.open("wb") as output:
        node = subprocess.Popen(
            command,
            cwd=log.parent,
            stdout=output,
            stderr=output,
            env={**os.environ, **_PATIENT},
            preexec_fn=end_with_parent,
            start_new_session=True,
        )
    end = time.monotonic() + _SECONDS
    while b"Ray runtime started" not in log.read_bytes():
        if node.poll() is not None or time.monotonic() > end:
            node.kill()
            raise RuntimeError(f"no node of Ray: {log.read_text(errors='replace')[-300:]}")
        time.sleep(0.1)
    return node


def main() -> None:
    """`python ray_nodes.py FOLDER PORT CLIENT_PORT`: writes FOLDER/nodes.json once both are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("client_port", type=int)
    given = parser.parse_args()
    folder = given.folder
    bring_up_loopback()
    client = [f"--ray-client-server-port={given.client_port}", "--include-dashboard=false"]
    head = ["--head", f"--port={given.port}", f"--temp-dir={folder}/ray", *client]
    nodes = [start_node("127.0.0.2", folder / "head.log", *head)]  # 127.0.0.1 would be the machine's own address
    nodes.append(start_node("127.0.0.3", folder / "second.log", f"--address=127.0.0.2:{given.port}"))
    half = folder / "half.json"
    half.write_text(json.dumps({"pid": os.getpid()}))
    half.rename(folder / "nodes.json")
    try:
        for node in nodes:
            node.wait()
    except KeyboardInterrupt:
        for node in nodes:
            node.terminate()  # all at first: whoever waits for this process does so for ten seconds only
        for node in nodes:
            node.wait()


if __name__ == "__main__":
    main()
