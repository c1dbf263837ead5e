"""An environment at AWS as it is: read, compared with what is wanted, and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trikk.core.clock import Clock
from trikk.core.errors import TrikkError, UsageError
from trikk.targets.aws_resources.aws_access import AwsAccess, is_missing, refusals
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.change_plan import Action, Change, Key, Plan, change_plan
from trikk.targets.aws_resources.kinds.alarm_kind import AlarmKind
from trikk.targets.aws_resources.kinds.bucket_kind import BucketKind
from trikk.targets.aws_resources.kinds.function_kind import FunctionKind
from trikk.targets.aws_resources.kinds.log_group_kind import LogGroupKind
from trikk.targets.aws_resources.kinds.pipeline_kind import PipelineKind
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind, Resource, ResourceKind
from trikk.targets.aws_resources.kinds.role_kind import RoleKind
from trikk.targets.aws_resources.kinds.rule_kind import RuleKind
from trikk.targets.aws_resources.kinds.schedule_kinds import ScheduleGroupKind, ScheduleKind
from trikk.targets.aws_resources.kinds.topic_kinds import SubscriptionKind, TopicKind

_ATTEMPTS, _PAUSE = 30, 2.0  # a role is known everywhere some seconds after it is made
_GO_ON = "call the same command again: it goes on from here"


class AwsEnvironment:
    """The resources of an environment.

    Args:
        access: to the account.
        settings: of the environment.
        addresses: of `alerts`, each with its secrets filled in.
        clock: by which is waited for what AWS does later.
    """

    def __init__(
        self, access: AwsAccess, settings: AwsSettings, addresses: Mapping[str, str], clock: Clock
    ) -> None:
        self._owner = settings.owner
        self._clock = clock
        self._buckets = BucketKind(access, settings.owner)
        kinds: tuple[ResourceKind, ...] = (
            *(LogGroupKind(access), self._buckets, RoleKind(access), TopicKind(access)),
            *(SubscriptionKind(access, addresses), FunctionKind(access), PipelineKind(access)),
            *(ScheduleGroupKind(access, clock), ScheduleKind(access), RuleKind(access), AlarmKind(access)),
        )
        self.kinds = {kind.kind: kind for kind in kinds}

    def plan(self, wanted: Sequence[Resource]) -> Plan:
        """What has to be done so that it is as it is wanted; nothing is changed.

        Args:
            wanted: its resources; none if it is to go.

        Raises:
            UsageError: if resources of a wanted name are not the environment's, or a bucket is in another region.
            AwsRefused: if something can't be read.
        """
        plan = change_plan(wanted, self.existing(wanted), self._owner)
        if plan.foreign:
            listed = ", ".join(f"{kind} {name}" for kind, name in plan.foreign)
            tags = ", ".join(f"{key}={value}" for key, value in self._owner.items())
            raise UsageError(
                f"not this environment's, since they lack its tags ({tags}): {listed}",
                next="delete or rename them, or tag them so if they are to be taken over",
            )
        return plan

    def full_buckets(self, plan: Plan) -> list[str]:
        """The buckets that are to be deleted and have objects in them."""
        names = [c.name for c in plan.changes if c.kind is Kind.BUCKET and c.action is Action.DELETE]
        with refusals("the objects of a bucket"):
            return [name for name in names if self._buckets.has_objects(name)]

    def carry_out(
        self,
        plan: Plan,
        wanted: Iterable[Resource],
        done: Callable[[Change], Any],
        *,
        before_pipelines: Callable[[], Any] = lambda: None,
        with_data: bool = False,
    ) -> None:
        """Do what a plan says, in its order.

        Args:
            plan: as of `plan`.
            wanted: the resources that it was made for.
            done: is told each change when it is made.
            before_pipelines: is called before a pipeline is made or changed, when the bucket is there.
            with_data: whether buckets are emptied that are to be deleted.

        Raises:
            UsageError: if a bucket is to be deleted that has objects, without `with_data`; nothing is done.
            TrikkError: if a change can't be made: those before it are, and the next plan has the others.
        """
        if (full := self.full_buckets(plan)) and not with_data:
            raise UsageError(f"bucket {full[0]} has objects", next="delete them with it: --with-data")
        attributes = {(resource.kind, resource.name): resource.attributes for resource in wanted}
        for number, change in enumerate(plan.changes):
            try:
                with refusals(f"{change.action} {change.kind} {change.name}"):
                    if with_data and change.kind is Kind.BUCKET and change.action is Action.DELETE:
                        self._buckets.empty(change.name)
                    if change.kind is Kind.PIPELINE and change.action is not Action.DELETE:
                        before_pipelines()
                    self._carry_out(change, attributes.get(change.key, {}))
            except TrikkError as error:
                said = f"{error.what}; {number} of {len(plan.changes)} changes are made"
                mend = f"{error.next}, and {_GO_ON}" if error.next else _GO_ON
                raise type(error)(said, where=error.where, next=mend) from None
            done(change)

    def existing(self, wanted: Iterable[Resource]) -> dict[Key, Attributes]:
        """What is there by the names of the environment, be it the environment's or not; errors as of `plan`."""
        existing: dict[Key, Attributes] = {}
        for kind, reader in self.kinds.items():
            with refusals(f"what there is of kind {kind}"):
                names = {*reader.names(), *(resource.name for resource in wanted if resource.kind is kind)}
            for name in sorted(names):
                with refusals(f"{kind} {name}"):
                    attributes = reader.read(name)
                if attributes is not None:
                    existing[kind, name] = attributes
        return existing

    def _carry_out(self, change: Change, attributes: Attributes) -> None:
        kind = self.kinds[change.kind]
        if change.action is Action.DELETE:
            self._delete(kind, change.name)
            return
        changed = {each.attribute.partition(".")[0] for each in change.attributes}
        if change.action is Action.CREATE:
            self._patiently(lambda: kind.create(change.name, attributes))
            changed = attributes.keys() - kind.set_by_create
        if changed:
            self._patiently(lambda: kind.update(change.name, attributes, changed))

    def _delete(self, kind: ResourceKind, name: str) -> None:
        from botocore.exceptions import ClientError

        try:
            kind.delete(name)
        except ClientError as error:
            if not is_missing(error):
                raise

    def _patiently(self, call: Callable[[], None]) -> None:
        """Make a call again for a minute if AWS has not taken in yet what was done just before."""
        from botocore.exceptions import ClientError

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                call()
            except ClientError as error:
                if attempt == _ATTEMPTS or not is_too_early(error):
                    raise
                self._clock.sleep(_PAUSE)
            else:
                return


def is_too_early(error: Any) -> bool:
    """Whether a refusal (a ClientError) goes away by itself: a role was just made, a name was just freed."""
    about = error.response.get("Error", {})
    code, text = about.get("Code", ""), str(about.get("Message", "")).lower()
    is_role = "role" in text and "assum" in text
    return code == "OperationAborted" or (
        is_role and code in ("InvalidParameterValueException", "ValidationException")
    )
