"""Where secrets are: the environment, then the places that trikk.toml names, in this order.

    [secrets]
    folder = "/run/secrets"            # a file for each, as Docker and Kubernetes lay them out
    file = "~/.config/city.secrets"    # lines of NAME=value, which nobody else may read
    aws = "city/"                      # AWS Secrets Manager: NAME is the secret city/NAME

A process has the places of the trikk.toml that it has read last. Files are read each time, so that a secret that
was changed counts at once; what AWS has said is kept for five minutes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trikk.core.errors import MissingExtra, UsageError
from trikk.core.network import masking

_KEPT = 300.0  # seconds
_LARGEST = 65_536  # bytes: that of AWS Secrets Manager
_PATIENCE = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 2}}
_from_aws: dict[str, tuple[str, float]] = {}


@dataclass(frozen=True, slots=True)
class SecretPlaces:
    """The places beside the environment; None for those that there are not.

    Attributes:
        folder: has a file for each secret, of its name.
        file: has a line NAME=value for each.
        aws: what stands before a secret's name in AWS Secrets Manager; "" for nothing.
    """

    folder: Path | None = None
    file: Path | None = None
    aws: str | None = None

    def look(self, name: str) -> str | None:
        """A secret's value; None if no place has it.

        Raises:
            UsageError: if a place can't be read, or lies open to others.
        """
        for value in (self._in_folder(name), self._in_file(name), self._in_aws(name)):
            if value is not None:
                masking.remember(name, value)
                return value
        return None

    def names(self, name: str) -> list[str]:
        """The places where a secret of that name is looked for, as an error names them."""
        folder = [] if self.folder is None else [str(self.folder / name)]
        file = [] if self.file is None else [str(self.file)]
        aws = [] if self.aws is None else [f"{self.aws}{name} in AWS Secrets Manager"]
        return [*folder, *file, *aws]

    def _in_folder(self, name: str) -> str | None:
        return None if self.folder is None else _read(self.folder / name, private=False)

    def _in_file(self, name: str) -> str | None:
        text = None if self.file is None else _read(self.file, private=True)
        for line in (text or "").splitlines():
            key, sign, value = line.strip().removeprefix("export ").partition("=")
            if sign and key.strip() == name:
                value = value.strip()
                quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
                return value[1:-1] if quoted else value
        return None

    def _in_aws(self, name: str) -> str | None:
        if self.aws is None:
            return None
        secret_id = f"{self.aws}{name}"
        value, until = _from_aws.get(secret_id, ("", 0.0))
        if time.monotonic() >= until:
            answer = _ask_aws(secret_id)
            if answer is None:
                return None
            value = answer
            _from_aws[secret_id] = (value, time.monotonic() + _KEPT)
        return value


_places = SecretPlaces()


def use_places(places: SecretPlaces) -> None:
    """Look for this process's secrets there from now on."""
    global _places  # noqa: PLW0603 - a process works for one project
    _places = places


class KnownValues(Mapping[str, str]):
    """The environment's variables, and what the places beside it have; those are looked at only when asked for."""

    def __getitem__(self, name: str) -> str:
        value = os.environ.get(name)
        if not value:
            value = _places.look(name) or value
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def missing(name: str, where: str | None) -> UsageError:
    """The error for a secret or variable that is nowhere, with the places that were looked at."""
    places = _places.names(name)
    if not places:
        return UsageError(f"the environment variable {name} is not set", where=where, next=f"export {name}=...")
    looked = ", ".join(places)
    return UsageError(
        f"there is no secret {name}: the environment variable is not set, nor is it in {looked}",
        where=where,
        next=f"put it into one of these, or export {name}=...",
    )


def _read(path: Path, *, private: bool) -> str | None:
    """A file's text without the line end behind it; None if there is no such file.

    Args:
        path: of the file.
        private: whether only its owner may read it. In a folder as Kubernetes mounts it, all in the container may.
    """
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UsageError(
                    "what should hold a secret is no file", where=str(path), next="[secrets] names it"
                )
            if about.st_mode & (0o077 if private else 0o022):
                who, mode = ("read", "600") if private else ("change", "go-w")
                mend = f"chmod {mode} {path}"
                raise UsageError(f"others may {who} a file with secrets", where=str(path), next=mend)
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"a file with secrets can't be read: {error.strerror}",
            where=str(path),
            next="let trikk's user read it",
        ) from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError("a secret is no text", where=str(path), next="store it as text, such as base64") from None
    if len(data) > _LARGEST:
        raise UsageError("a secret is larger than 64 kB", where=str(path), next="is it the right file?")
    return text.removesuffix("\n").removesuffix("\r")


def _ask_aws(secret_id: str) -> str | None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise MissingExtra("AWS Secrets Manager", "aws") from None
    try:
        # A session of its own: the default one is not for several threads.
        client: Any = boto3.Session().client("secretsmanager", config=Config(**_PATIENCE))
        answer = client.get_secret_value(SecretId=secret_id)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ResourceNotFoundException":
            return None
        raise _away(secret_id, code or "refused", "let its role have secretsmanager:GetSecretValue") from None
    except BotoCoreError as error:
        raise _away(secret_id, type(error).__name__, "check AWS_REGION, AWS_* and the network") from None
    if "SecretString" not in answer:
        raise UsageError("a secret is no text", where=secret_id, next="store it as SecretString")
    return str(answer["SecretString"])


def _away(secret_id: str, why: str, mend: str) -> UsageError:
    return UsageError(f"AWS Secrets Manager does not give a secret: {why}", where=secret_id, next=mend)
