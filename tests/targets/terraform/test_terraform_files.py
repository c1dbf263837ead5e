"""The files of infra/ as other tools read them: HCL's parser, Kubernetes' schemas, the formatter."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from tests.envs import python_of
from tests.targets.terraform.rights import MAY
from tests.targets.terraform.terraform_folder import INFRA, terraform_or_skip

FILES = sorted((INFRA / "terraform").rglob("*.tf"))
_PARSE = """
import json, sys
import hcl2
json.dump({path: hcl2.load(open(path)) for path in sys.argv[1:]}, sys.stdout)
"""


@cache
def parsed() -> dict[Path, dict[str, Any]]:
    """Each file as python-hcl2 reads it."""
    done = subprocess.run(
        [python_of("iac"), "-c", _PARSE, *map(str, FILES)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {Path(path): document for path, document in json.loads(done.stdout).items()}


def blocks(kind: str) -> list[tuple[Path, str, dict[str, Any]]]:
    """All blocks of a kind: their file, name and content."""
    return [
        (path, name.strip('"'), content)
        for path, document in parsed().items()
        for block in document.get(kind, ())
        for name, content in block.items()
        if not name.startswith("__")
    ]


def test_each_variable_and_output_is_described() -> None:
    variables, outputs = blocks("variable"), blocks("output")
    assert len(variables) > 100
    assert len(outputs) > 20
    for path, name, content in variables + outputs:
        assert len(content.get("description", "")) > 10, f"{path}: {name}"
    assert all("type" in content for _, _, content in variables)


def test_what_people_set_is_checked_with_a_message_of_a_sentence() -> None:
    of_people = [
        block for block in blocks("variable") if block[0].parent.name in ("project", "endpoint", "deployer")
    ]
    messages = [check["error_message"] for _, _, content in of_people for check in content.get("validation", ())]
    assert len(messages) >= 12
    assert all(len(message) > 30 for message in messages)


def test_no_file_names_a_right_without_limit_but_those_with_a_reason() -> None:
    wide = []
    for path, name, document in blocks("data"):
        if name != "aws_iam_policy_document":
            continue
        text = json.dumps(document)
        for statement in re.findall(r'\{[^{}]*"actions"[^{}]*\}', text):
            sid = re.search(r'"sid": "\\?"?(\w+)', statement)
            if (
                re.search(r'"(\\")?\*(\\")?"', statement)
                and (sid is None or sid[1] not in MAY)
                and "Deny" not in statement
            ):
                wide.append(f"{path.parent.name}/{path.name}: {sid and sid[1]}")
    assert wide == []


def test_environments_differ_in_nothing_but_their_own_settings() -> None:
    environments = INFRA / "terraform" / "environments"
    for folder in environments.iterdir():
        if folder.is_dir():
            assert (folder / "shared.tf").is_symlink()
            assert (folder / "shared.tf").resolve() == environments / "shared.tf"
            assert (folder / "backend.hcl").is_file()
    accounts = re.findall(r"account +=", "".join(path.read_text() for path in environments.glob("*/main.tf")))
    assert len(accounts) == 4


def test_terraform_would_write_each_file_as_it_is() -> None:
    program, _ = terraform_or_skip()
    done = subprocess.run(
        [program, "fmt", "-check", "-recursive", "-diff", INFRA],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


_KUBERNETES = """
import json, sys, yaml
import kubernetes_validate
for path in sys.argv[1:]:
    for document in yaml.safe_load_all(open(path)):
        if document["kind"] != "Kustomization":
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            print(document["kind"])
"""


def test_kubernetes_takes_the_manifests(tmp_path: Path) -> None:
    paths = sorted((INFRA / "kubernetes").glob("*.yaml"))
    command = [python_of("iac"), "-c", _KUBERNETES]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap"} <= set(
        done.stdout.split()
    )
    wrong = tmp_path / "server.yaml"
    wrong.write_text((INFRA / "kubernetes" / "server.yaml").read_text().replace("replicas: 2", "replica: 2"))
    refused = subprocess.run([*command, wrong], capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode != 0, "it would have told what is wrong"
    assert "replica" in refused.stderr


def test_the_kustomization_names_each_manifest_and_they_hold_together() -> None:
    folder = INFRA / "kubernetes"
    named = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == sorted(
        path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml"
    )
    documents = [each for name in named for each in yaml.safe_load_all((folder / name).read_text())]
    [deployment] = [each for each in documents if each["kind"] == "Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for document in documents:
        spec = document.get("spec", {})
        chosen = spec.get("podSelector", spec.get("selector", {}))
        assert chosen.get("matchLabels", chosen if document["kind"] == "Service" else {}).items() <= labels
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert re.search("@sha256:[0-9a-f]{64}$", container["image"])
    from trikk.server.server_process import GRACE

    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > GRACE
