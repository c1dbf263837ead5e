"""What [targets.aws] may say, and what it comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from trikk.core.errors import ProjectError
from trikk.core.settings import load_settings
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings, aws_settings
from trikk.targets.aws_resources.environment_resources import environment_resources
from trikk.targets.aws_resources.kinds.resource_port import Kind


def read(folder: Path, text: str, name: str = "The City_1") -> AwsSettings:
    (folder / "trikk.toml").write_text(f'name = "{name}"\nenvironment = "main"\n{text}')
    return aws_settings(load_settings(folder))


def test_names_begin_with_project_and_environment(tmp_path: Path) -> None:
    settings = read(tmp_path, '[targets.aws]\nregion = "eu-west-1"\ntags = {team = "city"}')
    assert settings.prefix == "the-city-1-main"
    assert settings.all_tags == {"team": "city", "trikk:project": "The City_1", "trikk:environment": "main"}
    assert settings.secrets == "the-city-1-main/"
    assert settings.pipelines is None


def test_what_jobs_report_expires_where_it_is(tmp_path: Path) -> None:
    names = AwsNames("city-main", "aws", "eu-west-1", "111122223333")
    region = '[targets.aws]\nregion = "eu-west-1"\n'
    for text, prefix in {
        "": "artifacts/exchange/",
        '[storage]\nartifacts = "s3://city-main-111122223333/a/b"': "a/b/exchange/",
        '[targets.sagemaker]\nexchange = "s3://city-main-111122223333/x"': "x/",
        '[storage]\nartifacts = "s3://another/a"': None,
    }.items():
        resources = environment_resources(read(tmp_path, region + text), names, [])
        (expiry,) = (r.attributes["expiry"] for r in resources if r.kind is Kind.BUCKET)
        assert expiry.get("exchange", {}).get("prefix") == prefix


def test_secrets_are_those_of_the_project(tmp_path: Path) -> None:
    assert read(tmp_path, '[secrets]\naws = "city/"\n[targets.aws]\nregion = "eu-west-1"').secrets == "city/"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        'region = "Ireland"',
        'region = "eu-west-1"\naccount = "1234"',
        'region = "eu-west-1"\nbucket = "City_Main"',
        'region = "eu-west-1"\nretention = 31',
        'region = "eu-west-1"\nvpc = true',
        'region = "eu-west-1"\nalerts = ["ops@example.com"]',
        'region = "eu-west-1"\nalerts = ["http://example.com/hook"]',
        'region = "eu-west-1"\ntags = {"trikk:project" = "other"}',
        'region = "eu-west-1"\nregoin = 1',
    ],
)
def test_what_cannot_be_is_refused_and_the_section_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ProjectError) as refused:
        read(tmp_path, f"[targets.aws]\n{wrong}")
    assert "[targets.aws]" in str(refused.value.where)
    assert refused.value.next


@pytest.mark.parametrize("name", ["4711", "x" * 60])
def test_a_project_whose_name_no_resource_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError):
        read(tmp_path, '[targets.aws]\nregion = "eu-west-1"', name)
