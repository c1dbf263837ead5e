"""A Jupyter kernel that belongs to its step: it ends when the step does, however that ends.

Jupyter starts kernels in sessions of their own, which no signal to a step's process group reaches. This one stays
in the group, and the operating system ends it when the step's process has gone.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from trikk.execution.workers.descendants import die_with_parent

NATIVE = "python3"


class InGroup(LocalProvisioner):
    """Starts a kernel's process in the process group of its starter."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the process; "python3" is this Python, whatever kernel of that name is installed elsewhere."""
        manager: Any = self.parent
        if manager.kernel_name == NATIVE:
            cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", manager.connection_file]
        folder = kwargs.get("cwd") or Path.cwd()
        self.process = subprocess.Popen(
            cmd,
            cwd=folder,
            # A kernel that loses its parent ends by itself; `die_with_parent` is for those that don't look.
            env={**kwargs["env"], "JPY_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            preexec_fn=functools.partial(die_with_parent, True),  # noqa: PLW1509 - one system call, no lock
        )
        self.pid = self.process.pid
        self.pgid = None  # a signal is for the kernel, never for the whole group
        self.cwd = folder
        return self.connection_info


class Manager(AsyncKernelManager):
    """Manages a kernel that `InGroup` starts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provisioner = InGroup(kernel_id=str(uuid.uuid4()), kernel_spec=self.kernel_spec, parent=self)
