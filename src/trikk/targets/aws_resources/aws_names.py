"""What an environment's resources are called, and the ARNs that follow from that. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.targets.aws_resources.kinds.resource_port import Kind


@dataclass(frozen=True, slots=True)
class AwsNames:
    """The names of an environment.

    Attributes:
        prefix: what they begin with.
        partition: `aws`, or that of another part of the world.
        region: where the environment is.
        account: whose it is.
        bucket_name: of its bucket, if that is called otherwise.
    """

    prefix: str
    partition: str
    region: str
    account: str
    bucket_name: str = ""

    @property
    def bucket(self) -> str:
        """Its bucket."""
        return self.bucket_name or f"{self.prefix}-{self.account}"

    @property
    def jobs_role(self) -> str:
        """The role of pipelines and their jobs."""
        return f"{self.prefix}-jobs"

    @property
    def function(self) -> str:
        """The function that starts pipelines, and its role."""
        return f"{self.prefix}-start"

    @property
    def scheduler_role(self) -> str:
        """The role with which Scheduler calls the function."""
        return f"{self.prefix}-scheduler"

    @property
    def log_group(self) -> str:
        """The group of the function's logs, and of servers'."""
        return f"/trikk/{self.prefix}"

    @property
    def schedule_group(self) -> str:
        """The group of all schedules."""
        return self.prefix

    @property
    def topic(self) -> str:
        """The topic of what people are told."""
        return f"{self.prefix}-alerts"

    @property
    def rule(self) -> str:
        """The rule for failed executions."""
        return f"{self.prefix}-failures"

    def role_arn(self, role: str) -> str:
        """The ARN of a role."""
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of the region, as most services have it."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket_arn(self, objects: str = "") -> str:
        """The ARN of the bucket, or of objects in it."""
        return f"arn:{self.partition}:s3:::{self.bucket}" + (f"/{objects}" if objects else "")

    def arn_of(self, kind: Kind, name: str) -> str:
        """The ARN of a resource that has one by its name: all but subscriptions."""
        if kind is Kind.ROLE:
            return self.role_arn(name)
        if kind is Kind.BUCKET:
            return f"arn:{self.partition}:s3:::{name}"
        service, form = {
            Kind.LOG_GROUP: ("logs", "log-group:{}"),
            Kind.TOPIC: ("sns", "{}"),
            Kind.FUNCTION: ("lambda", "function:{}"),
            Kind.PIPELINE: ("sagemaker", "pipeline/{}"),
            Kind.SCHEDULE_GROUP: ("scheduler", "schedule-group/{}"),
            Kind.SCHEDULE: ("scheduler", f"schedule/{self.schedule_group}/{{}}"),
            Kind.RULE: ("events", "rule/{}"),
            Kind.ALARM: ("cloudwatch", "alarm:{}"),
        }[kind]
        return self.arn(service, form.format(name))
