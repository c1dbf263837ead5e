"""`trikk aws`: what a project's pipelines need at AWS, planned, made, changed and deleted; and a start by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, style, tick_shown
from trikk.core.clock import SystemClock
from trikk.core.errors import AwsRefused, UsageError
from trikk.core.text import counted, shorten
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.targets.aws_resources.aws_access import AwsAccess
    from trikk.targets.aws_resources.aws_environment import AwsEnvironment
    from trikk.targets.aws_resources.change_plan import Change, Plan
    from trikk.targets.aws_resources.environment_resources import EnginePipeline
    from trikk.targets.aws_resources.kinds.resource_port import Resource

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_VALUE = 70  # characters of a value that changes
yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.group()
def aws() -> None:
    """Make, change and delete what the project's pipelines need at AWS, without Terraform.

    What is wanted follows from the code and from [targets.aws] of trikk.toml; docs/aws.md has the whole.
    """


@aws.command()
@json_option
def plan(as_json: bool) -> None:
    """Show what `apply` would make, change and delete, and why; nothing is changed."""
    declared = _Declared()
    _shown(declared, declared.plan(), as_json=as_json)


@aws.command()
@yes_option
@json_option
@audited("apply_aws")
def apply(yes: bool, as_json: bool) -> None:
    """Bring what is at AWS to what is declared, after showing the plan and asking.

    If it is ended midway, the next one goes on with the rest.
    """
    _check_terminal(yes=yes)
    declared = _Declared()
    _carried_out(declared, declared.plan(), declared.wanted, yes=yes, as_json=as_json)


@aws.command()
@click.option("--with-data", is_flag=True, help="Empty the bucket that is to be deleted, old versions included.")
@yes_option
@json_option
@audited("destroy_aws", "with_data")
def destroy(with_data: bool, yes: bool, as_json: bool) -> None:
    """Delete everything that `apply` has made, after showing the plan and asking.

    A bucket with objects in it is deleted only with --with-data. Nothing is left.
    """
    _check_terminal(yes=yes)
    declared = _Declared()
    _carried_out(declared, declared.environment.plan([]), [], yes=yes, as_json=as_json, with_data=with_data)


@aws.command()
@click.argument("trigger")
@click.option("--for", "moment", required=True, metavar="TIME", help="The scheduled time, or a day that has one.")
@json_option
@audited("start_aws", "trigger", "moment")
def start(trigger: str, moment: str, as_json: bool) -> None:
    """Start at AWS what trigger TRIGGER starts at a scheduled time, if that has not been started.

    It does what the schedule's function does, with the same token: so it is safe to call it as a backup, before,
    after or while the schedule comes due.
    """
    from trikk.targets.aws_resources.start_by_hand import start_by_hand

    declared = _Declared()
    started, is_due = start_by_hand(declared.access, declared.pipelines, trigger, moment)
    if as_json:
        print_json(started)
        return
    if not is_due:
        echo(f"note: {trigger} does not come due then; this start takes no scheduled time's place", err=True)
    echo(f"{trigger} of {tick_shown(started['tick'])}: {started['execution']}")


class _Declared:
    """The project's environment: what is wanted, and what it is compared with."""

    def __init__(self) -> None:
        from trikk.targets.aws_resources.aws_access import access
        from trikk.targets.aws_resources.aws_environment import AwsEnvironment
        from trikk.targets.aws_resources.aws_settings import aws_settings

        self.project = Project.open()
        self.settings = aws_settings(self.project.settings)
        filled = self.project.settings.filled
        addresses = {address: filled("targets.aws.alerts", address) for address in self.settings.alerts}
        self.access: AwsAccess = access(self.settings)
        self.environment: AwsEnvironment = AwsEnvironment(self.access, self.settings, addresses, SystemClock())
        self.wanted: list[Resource] = []
        self._pipelines: list[EnginePipeline] | None = None
        self._uploaded = False

    @property
    def pipelines(self) -> Sequence[EnginePipeline]:
        """What is compiled of the project's code, when it is first asked for."""
        from trikk.cli.target_commands.compile_source import sources
        from trikk.targets.aws_resources.declared_pipelines import declared_pipelines

        if self._pipelines is None:
            self._pipelines = declared_pipelines(self.settings, sources(self._in_environment()))
        return self._pipelines

    def plan(self) -> Plan:
        """What is to be done for what is declared."""
        from trikk.targets.aws_resources.environment_resources import environment_resources

        self.wanted = environment_resources(self.settings, self.access.names, self.pipelines)
        return self.environment.plan(self.wanted)

    def upload(self) -> None:
        """Put the project's code where jobs fetch it."""
        from trikk.cli.target_commands.compile_source import upload
        from trikk.targets.aws_resources.declared_pipelines import ENGINE

        if not self._uploaded:
            project = self._in_environment()
            for pipeline in self.pipelines:
                upload(project, pipeline.source, ENGINE)
            self._uploaded = True

    def _in_environment(self) -> Project:
        from trikk.targets.aws_resources.declared_pipelines import for_environment

        return Project(for_environment(self.project.settings, self.access.names))

    @property
    def notes(self) -> list[str]:
        """What is otherwise at AWS than at home."""
        from trikk.targets.aws_resources.environment_resources import notes

        return notes(self.pipelines) if self.wanted else []


def _carried_out(
    declared: _Declared,
    plan: Plan,
    wanted: Sequence[Resource],
    *,
    yes: bool,
    as_json: bool,
    with_data: bool = False,
) -> None:
    if full := [] if with_data else declared.environment.full_buckets(plan):
        raise UsageError(f"bucket {full[0]} has objects; nothing is deleted", next="delete them, too: --with-data")
    if not as_json:
        _shown(declared, plan, as_json=False)
    _check_rights(declared, plan)
    if plan.changes and not yes:
        click.confirm("Do this?", abort=True, err=True)

    def done(change: Change) -> None:
        if not as_json:
            echo(f"{change.action}d {change.kind} {change.name}")

    declared.environment.carry_out(plan, wanted, done, before_pipelines=declared.upload, with_data=with_data)
    if as_json:
        print_json(_document(declared, plan))
    elif plan.changes:
        echo(style("done", fg="green"), f": {counted(len(plan.changes), 'change')}")


def _check_rights(declared: _Declared, plan: Plan) -> None:
    from trikk.targets.aws_resources.missing_rights import missing_rights

    if missing := missing_rights(declared.access, plan):
        raise AwsRefused(
            f"nothing is changed: the credentials may not do {', '.join(missing)}",
            next="let their role do it: docs/aws.md lists what is needed",
        )


def _check_terminal(*, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at", next="look at `trikk aws plan`, then add --yes")


def _document(declared: _Declared, plan: Plan) -> dict[str, Any]:
    names = declared.access.names
    place = {"environment": names.prefix, "region": names.region, "account": names.account}
    return {**place, **plan.to_json(), "notes": declared.notes}


def _shown(declared: _Declared, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(declared, plan))
        return
    names = declared.access.names
    echo(f"{names.prefix} in {names.region}, account {names.account}")
    for change in plan.changes:
        sign, colour = _SIGNS[change.action]
        echo(style(sign, fg=colour), f" {change.kind:<15} {change.name:<40} {change.why}")
        for each in change.attributes:
            echo(f"    {each.attribute}: {_value(each.before)} -> {_value(each.after)}")
    counts = {action: sum(c.action == action for c in plan.changes) for action in _SIGNS}
    steps = [f"{number} to {action}" for action, number in counts.items() if number]
    echo(f"{', '.join(steps) or 'nothing to do'}; {plan.unchanged} as declared")
    for note in declared.notes:
        echo(f"note: {note}")


def _value(value: Any) -> str:
    import json

    return "nothing" if value is None else shorten(json.dumps(value, sort_keys=True), _VALUE)
