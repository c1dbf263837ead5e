"""A root module of Terraform in a folder of its own, applied to a server that stands for AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

INFRA = Path(__file__).parents[3] / "infra"
MODULES = INFRA / "terraform" / "modules"
ACCOUNT = "222233334444"
REGION = "eu-west-1"
_PLUGINS = (
    "~/.terraform.d/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/tf-plugins",
)
_SERVICES = (
    "chatbot", "cloudwatch", "ec2", "ecr", "events", "iam", "kms", "lambda", "logs", "rds", "s3", "sagemaker",
    "scheduler", "secretsmanager", "sns", "ssm", "sts",
)  # fmt: skip


def terraform_or_skip() -> tuple[str, Path]:
    """The program, and the folder with AWS's provider; the test is skipped where one is missing."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    given = os.environ.get("TF_PLUGIN_CACHE_DIR")
    for folder in filter(None, (given, *_PLUGINS)):
        path = Path(folder).expanduser()
        if any(path.glob("registry.terraform.io/hashicorp/aws/5.*/*/terraform-provider-aws*")):
            return program, path
    pytest.skip("Terraform's AWS provider is in no folder of plugins")


class Root:
    """A copy of the modules, and a root module that calls `project` as an environment's main.tf does.

    Args:
        folder: an empty one.
        endpoint: of the server that stands for AWS.
        settings: the module's arguments, beside project, environment and region.
    """

    def __init__(self, folder: Path, endpoint: str, settings: dict[str, Any], environment: str = "test") -> None:
        self.program, plugins = terraform_or_skip()
        shutil.copytree(MODULES, folder / "modules")
        self.folder = folder / "environments" / environment
        self.folder.mkdir(parents=True)
        shutil.copy(INFRA / "terraform" / "environments" / "shared.tf", self.folder)
        self.write(settings, environment)
        endpoints = dict.fromkeys(_SERVICES, endpoint)
        (self.folder / "server_override.tf.json").write_text(
            json.dumps(
                {
                    "terraform": {"backend": {"local": {}}},
                    "provider": {
                        "aws": {
                            "access_key": "testing",
                            "secret_key": "testing",
                            "skip_credentials_validation": True,
                            "skip_metadata_api_check": True,
                            "s3_use_path_style": True,
                            "max_retries": 3,
                            "endpoints": [endpoints],
                        }
                    },
                }
            )
        )
        mirror = f'filesystem_mirror {{\n    path = "{plugins}"\n  }}'
        (folder / "cli.tfrc").write_text(f"provider_installation {{\n  {mirror}\n}}\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
            "TF_CLI_CONFIG_FILE": str(folder / "cli.tfrc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def write(self, settings: dict[str, Any], environment: str = "test") -> None:
        """The environment's main.tf, as JSON."""
        names = {"project": "city", "environment": environment, "account": ACCOUNT, "region": REGION}
        arguments = {
            "source": "../../modules/project",
            **{
                name: f"${{local.{name}}}"
                for name in ("project", "environment", "region", "pipelines", "start_function")
            },
            "image": "${var.image}",
            **settings,
        }
        (self.folder / "main.tf.json").write_text(json.dumps({"locals": names, "module": {"project": arguments}}))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The program with arguments."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def must(self, *arguments: str) -> str:
        """What it prints; the test fails if it does."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What it says of an error, on one line."""
        done = self.run(*arguments, "-no-color")
        assert done.returncode == 1, done.stdout[-3000:]
        return " ".join(done.stderr.replace("│", " ").replace("╷", " ").replace("╵", " ").split())

    def state(self) -> list[dict[str, Any]]:
        """The resources that there are, of all modules."""
        values = json.loads(self.must("show", "-json")).get("values", {})
        return list(_resources(values.get("root_module", {})))


def _resources(module: dict[str, Any]) -> Any:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)
