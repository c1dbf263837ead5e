"""A provider of identities: node-oidc-provider, which is certified for OpenID Connect, in a folder of its own."""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from tests.servers.shared import answers, free_ports, stop

SECRET = "hunter2-of-the-client"
_PACKAGE = "oidc-provider@9.13.3"
_FOLDER = Path(__file__).parents[1] / ".envs" / "identity-provider"
_SECONDS = 60


class IdentityProvider:
    """One that can be stopped and started; the client `trikk` may be sent back to the given addresses."""

    def __init__(self, redirects: list[str], log: Path) -> None:
        [self.port] = free_ports(1)
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._redirects = redirects
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it has forgotten who has signed in."""
        script = shutil.copy(Path(__file__).with_suffix(".mjs"), _FOLDER)
        command = ["node", script, str(self.port), ",".join(self._redirects), SECRET]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=_FOLDER, start_new_session=True)
        assert answers(self._process, self.port, _SECONDS), self._log.read_text()

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            stop(self._process)

    def sign_in(self, address: str, name: str) -> str:
        """What a person's browser does there, from where it was sent; the address to which it is sent back."""
        with httpx.Client(timeout=_SECONDS) as browser:
            answer = browser.get(address)
            for _ in range(20):
                if answer.is_redirect:
                    place = urljoin(str(answer.url), answer.headers["location"])
                    if not place.startswith(self.issuer):
                        return place
                    answer = browser.get(place)
                else:
                    form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
                    assert form, answer.text
                    prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                    assert prompt, answer.text
                    data = {"prompt": prompt[1], "login": name, "password": "any"}
                    answer = browser.post(urljoin(str(answer.url), form[1]), data=data)
        raise AssertionError("it goes round in circles")


@contextlib.contextmanager
def identity_provider(redirects: list[str], log: Path) -> Iterator[IdentityProvider]:
    """One that runs; the test is skipped, with the reason, where it can't be had."""
    if shutil.which("npm") is None:
        pytest.skip("no provider of identities: npm is not installed")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER.parent / "identity-provider.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_FOLDER / "node_modules" / "oidc-provider").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", _PACKAGE]
            done = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"no provider of identities: {done.stderr.strip()[-200:]}")
    provider = IdentityProvider(redirects, log)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()
