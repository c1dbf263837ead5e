"""An environment on moto's server: made, drifted, mended, died over, refused, deleted without a rest.

moto takes any role at once, confirms every subscription, and never lets a schedule come due or an alarm go off.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.servers.moto import MotoServer

from trikk import pipeline, step
from trikk.core.errors import AwsRefused, UsageError
from trikk.core.settings import Settings
from trikk.targets.aws_resources.aws_access import AwsAccess, access
from trikk.targets.aws_resources.aws_environment import AwsEnvironment, is_too_early
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.change_plan import Action, Change, Plan
from trikk.targets.aws_resources.environment_resources import EnginePipeline, environment_resources
from trikk.targets.aws_resources.kinds.resource_port import Kind
from trikk.targets.target_port import Source
from trikk.testing import ManualClock
from trikk.triggers import Cron
from trikk.triggers.declared import Declared

pytest.importorskip("boto3")
MAIL, HOOK = "mail:ops@example.com", "https://hooks.example.com/${HOOK}"
NO_RIGHTS = """{"Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "sns:*", "Resource": "*"}]}"""
SECRET = "https://hooks.example.com/hunter2"


@step
def fit(day: date) -> str:
    return str(day)


@pipeline
def nightly(day: date) -> None:
    fit(day)


@pytest.fixture
def settings(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> AwsSettings:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    project = f"city{uuid.uuid4().hex[:8]}"
    owner = {"trikk:project": project, "trikk:environment": "main"}
    return AwsSettings(f"{project}-main", owner, "eu-west-1", alerts=(MAIL, HOOK), tags={"team": "city"})


class Case:
    """An environment, and what a test does with it."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.access: AwsAccess = access(settings)
        self.clock = ManualClock()
        self.line = "0 4 * * *"

    @property
    def environment(self) -> AwsEnvironment:
        addresses = {address: SECRET if address == HOOK else address for address in self.settings.alerts}
        return AwsEnvironment(self.access, self.settings, addresses, self.clock)

    @property
    def wanted(self) -> list[Any]:
        cron = Cron(self.line, timezone="Europe/Oslo").for_pipeline(nightly.graph, "pipelines.py:1")
        declared = Declared("nightly", cron, "pipelines.py:1")
        definition = {"Version": "2020-12-01", "Parameters": [], "Steps": [{"Name": "fit", "Type": "Fail"}]}
        name = f"{self.settings.prefix}-nightly"
        source = Source(nightly.graph, Settings(root=Path(), name="city"), "code", (declared,))
        on_aws = EnginePipeline(source, name, definition, {declared.name: declared.name})
        return environment_resources(self.settings, self.access.names, [on_aws])

    def plan(self) -> Plan:
        return self.environment.plan(self.wanted)

    def apply(self) -> list[Change]:
        environment, done = self.environment, []
        environment.carry_out(environment.plan(self.wanted), self.wanted, done.append)
        return done

    def destroy(self, *, with_data: bool = False) -> None:
        environment = self.environment
        environment.carry_out(environment.plan([]), [], lambda _: None, with_data=with_data)

    def left(self) -> dict[str, list[str]]:
        """Every resource of each service that has the environment's name in its own."""
        client, prefix = self.access.client, self.settings.prefix
        listed = {
            "buckets": [b["Name"] for b in client("s3").list_buckets()["Buckets"]],
            "log groups": [g["logGroupName"] for g in client("logs").describe_log_groups()["logGroups"]],
            "roles": [r["RoleName"] for r in client("iam").list_roles()["Roles"]],
            "policies": [p["PolicyName"] for p in client("iam").list_policies(Scope="Local")["Policies"]],
            "topics": [t["TopicArn"] for t in client("sns").list_topics()["Topics"]],
            "subscriptions": [s["TopicArn"] for s in client("sns").list_subscriptions()["Subscriptions"]],
            "functions": [f["FunctionName"] for f in client("lambda").list_functions()["Functions"]],
            "pipelines": [p["PipelineName"] for p in client("sagemaker").list_pipelines()["PipelineSummaries"]],
            "groups": [g["Name"] for g in client("scheduler").list_schedule_groups()["ScheduleGroups"]],
            "schedules": [s["GroupName"] for s in client("scheduler").list_schedules()["Schedules"]],
            "rules": [r["Name"] for r in client("events").list_rules()["Rules"]],
            "alarms": [a["AlarmName"] for a in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        }
        return {kind: own for kind, names in listed.items() if (own := [n for n in names if prefix in n])}


@pytest.fixture
def case(settings: AwsSettings) -> Iterator[Case]:
    case = Case(settings)
    yield case
    case.destroy(with_data=True)
    assert case.left() == {}


def test_it_is_made_left_alone_changed_and_deleted(case: Case) -> None:
    assert {change.action for change in case.plan().changes} == {Action.CREATE}
    done = case.apply()
    assert {change.kind for change in done} == set(Kind)
    assert set(case.left()) == {
        *("buckets", "log groups", "roles", "topics", "subscriptions", "functions"),
        *("pipelines", "groups", "schedules", "rules", "alarms"),
    }
    again = case.plan()
    assert again.changes == ()
    assert again.unchanged == len(done)

    case.line = "0 5 * * *"
    (change,) = case.plan().changes
    (attribute,) = change.attributes
    assert (change.kind, attribute.before, attribute.after) == (
        Kind.SCHEDULE,
        "cron(0 4 * * ? *)",
        "cron(0 5 * * ? *)",
    )
    case.apply()
    assert case.plan().changes == ()


def test_everything_has_the_environments_tags(case: Case) -> None:
    case.apply()
    tags = [
        attributes["tags"]
        for attributes in case.environment.existing(case.wanted).values()
        if attributes.get("tags")
    ]
    assert len(tags) == len(case.wanted) - 3  # two subscriptions and a schedule, which can't have any
    assert all(own == {"team": "city", **case.settings.owner} for own in tags)


def _drift(case: Case) -> None:
    """What somebody does in the console, of every kind that can drift."""
    client, names = case.access.client, case.access.names
    client("logs").delete_retention_policy(logGroupName=names.log_group)
    client("s3").put_bucket_versioning(Bucket=names.bucket, VersioningConfiguration={"Status": "Suspended"})
    client("s3").delete_public_access_block(Bucket=names.bucket)
    client("s3").delete_bucket_lifecycle(Bucket=names.bucket)
    more = client("iam").create_policy(PolicyName=f"{names.prefix}-more", PolicyDocument=NO_RIGHTS)["Policy"]
    client("iam").attach_role_policy(RoleName=names.jobs_role, PolicyArn=more["Arn"])
    client("iam").put_role_policy(RoleName=names.function, PolicyName="more", PolicyDocument=NO_RIGHTS)
    client("sns").set_topic_attributes(
        TopicArn=names.arn("sns", names.topic), AttributeName="Policy", AttributeValue=NO_RIGHTS
    )
    client("lambda").update_function_configuration(FunctionName=names.function, Timeout=3)
    client("lambda").update_function_code(FunctionName=names.function, ZipFile=b"PK\x05\x06" + bytes(18))
    client("lambda").put_function_event_invoke_config(FunctionName=names.function, MaximumRetryAttempts=2)
    client("sagemaker").update_pipeline(PipelineName=f"{names.prefix}-nightly", PipelineDefinition='{"Steps": []}')
    client("sagemaker").add_tags(
        ResourceArn=names.arn("sagemaker", f"pipeline/{names.prefix}-nightly"),
        Tags=[{"Key": "more", "Value": "1"}],
    )
    client("events").disable_rule(Name=names.rule)
    client("events").remove_targets(Rule=names.rule, Ids=["alerts"])
    client("cloudwatch").delete_alarms(AlarmNames=[f"{names.prefix}-nightly-missed"])
    client("scheduler").tag_resource(
        ResourceArn=names.arn("scheduler", f"schedule-group/{names.prefix}"), Tags=[{"Key": "more", "Value": "1"}]
    )
    schedule = client("scheduler").get_schedule(GroupName=names.schedule_group, Name="nightly-cron")
    kept = ("GroupName", "Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    client("scheduler").update_schedule(**{key: schedule[key] for key in kept}, State="DISABLED")
    for subscription in client("sns").list_subscriptions_by_topic(TopicArn=names.arn("sns", names.topic))[
        "Subscriptions"
    ]:
        if subscription["Protocol"] == "email":
            client("sns").unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def test_what_was_changed_from_outside_is_shown_and_mended(case: Case) -> None:
    case.apply()
    _drift(case)
    drifted = {(c.action, c.kind) for c in case.plan().changes}
    assert drifted == {
        *((Action.UPDATE, kind) for kind in Kind if kind not in (Kind.SUBSCRIPTION, Kind.ALARM)),
        (Action.CREATE, Kind.SUBSCRIPTION),
        (Action.CREATE, Kind.ALARM),
    }
    case.apply()
    assert case.plan().changes == ()
    iam = case.access.client("iam")  # detached, or it could not be deleted
    policies = iam.list_policies(Scope="Local")["Policies"]
    iam.delete_policy(PolicyArn=next(p["Arn"] for p in policies if case.settings.prefix in p["PolicyName"]))


@pytest.mark.parametrize("made", [1, 8, 13])
def test_an_apply_that_dies_is_gone_on_with(case: Case, made: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a change: after its first call to a service that changes something."""
    environment = case.environment
    plan = environment.plan(case.wanted)
    kind = environment.kinds[plan.changes[made].kind]
    attributes = next(resource.attributes for resource in case.wanted if resource.kind is kind.kind)
    create = kind.create
    if attributes.keys() <= kind.set_by_create:
        monkeypatch.setattr(kind, "create", lambda *arguments: (create(*arguments), _die()))
    else:
        monkeypatch.setattr(kind, "update", _die)
    with pytest.raises(KeyboardInterrupt):
        environment.carry_out(plan, case.wanted, lambda _: None)

    done = case.apply()
    assert len(done) < len(plan.changes) or made == 0
    assert case.plan().changes == ()


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_no_longer_declared_is_deleted(case: Case) -> None:
    case.apply()
    case.settings = replace(case.settings, alerts=(MAIL,), bucket=f"{case.settings.prefix}-other")
    case.access = access(case.settings)
    gone = [change for change in case.plan().changes if change.action is Action.DELETE]
    assert [change.kind for change in gone] == [Kind.SUBSCRIPTION, Kind.BUCKET]
    assert gone[0].name.startswith("https://hooks.example.com/***")
    assert "hunter2" not in str(case.plan().to_json())
    case.apply()
    assert case.plan().changes == ()


def test_no_secret_is_shown(case: Case) -> None:
    assert "hunter2" not in str(case.plan().to_json())
    case.apply()
    endpoints = [s["Endpoint"] for s in case.access.client("sns").list_subscriptions()["Subscriptions"]]
    assert SECRET in endpoints
    assert "hunter2" not in str(case.environment.existing(case.wanted))


def test_somebody_elses_resources_are_refused_and_left_alone(case: Case) -> None:
    logs, iam, names = case.access.client("logs"), case.access.client("iam"), case.access.names
    logs.create_log_group(logGroupName=names.log_group, tags={"trikk:project": "another"})
    iam.create_role(RoleName=names.jobs_role, AssumeRolePolicyDocument="{}")
    try:
        with pytest.raises(UsageError) as refused:
            case.plan()
        assert f"log-group {names.log_group}, role {names.jobs_role}" in refused.value.what
        case.destroy()
        assert set(case.left()) == {"log groups", "roles"}
    finally:
        logs.delete_log_group(logGroupName=names.log_group)
        iam.delete_role(RoleName=names.jobs_role)


def test_a_bucket_with_objects_is_kept_unless_its_data_may_go(case: Case) -> None:
    case.apply()
    s3, bucket = case.access.client("s3"), case.access.names.bucket
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="a", Body=body)
    s3.delete_object(Bucket=bucket, Key="a")
    with pytest.raises(UsageError) as refused:
        case.destroy()
    assert "--with-data" in str(refused.value.next)
    assert case.plan().changes == ()
    case.destroy(with_data=True)
    assert case.left() == {}


def test_a_bucket_in_another_region_is_refused(case: Case) -> None:
    oregon = case.access.session.client("s3", region_name="us-west-2")
    oregon.create_bucket(
        Bucket=case.access.names.bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    try:
        with pytest.raises(UsageError) as refused:
            case.plan()
        assert "is in region us-west-2" in refused.value.what
    finally:
        oregon.delete_bucket(Bucket=case.access.names.bucket)


def test_another_account_is_refused_before_anything_is_read(settings: AwsSettings) -> None:
    with pytest.raises(UsageError) as refused:
        access(replace(settings, account="999999999999"))
    assert "123456789012" in refused.value.what


def test_a_role_that_is_not_known_everywhere_yet_is_waited_for(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError

    case_environment = case.environment
    function = case_environment.kinds[Kind.FUNCTION]
    create, refused = function.create, 2

    def too_early(*arguments: Any) -> None:
        nonlocal refused
        if refused:
            refused -= 1
            message = "The role defined for the function cannot be assumed by Lambda."
            raise ClientError(
                {"Error": {"Code": "InvalidParameterValueException", "Message": message}}, "CreateFunction"
            )
        create(*arguments)

    monkeypatch.setattr(function, "create", too_early)
    case_environment.carry_out(case_environment.plan(case.wanted), case.wanted, lambda _: None)
    assert refused == 0
    assert case.plan().changes == ()


@pytest.mark.parametrize(
    ("code", "text", "is_early"),
    [
        (
            "ValidationException",
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
            True,
        ),
        ("OperationAborted", "A conflicting conditional operation is currently in progress.", True),
        ("ValidationException", "Invalid Schedule Expression", False),
    ],
)
def test_only_what_goes_away_by_itself_is_waited_for(code: str, text: str, is_early: bool) -> None:
    from botocore.exceptions import ClientError

    assert is_too_early(ClientError({"Error": {"Code": code, "Message": text}}, "X")) is is_early


def test_a_change_that_is_refused_says_how_far_it_came(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    environment = case.environment

    def denied(*_: Any) -> None:
        message = (
            "User: arn:aws:iam::1:user/x is not authorized to perform: sns:CreateTopic on resource: arn:aws:sns:t"
        )
        raise ClientError({"Error": {"Code": "AuthorizationError", "Message": message}}, "CreateTopic")

    monkeypatch.setattr(environment.kinds[Kind.TOPIC], "create", denied)
    done: list[Change] = []
    with pytest.raises(AwsRefused) as refused:
        environment.carry_out(environment.plan(case.wanted), case.wanted, done.append)
    assert "may not do sns:CreateTopic on arn:aws:sns:t" in refused.value.what
    assert f"{len(done)} of {len(case.wanted)} changes are made" in refused.value.what
    case.apply()
