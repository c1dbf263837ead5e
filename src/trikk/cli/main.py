"""The `trikk` command: finds the command's module when it is called, so that starting costs little."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from trikk.cli.server_option import SERVER, refusing_servers
from trikk.core.errors import TrikkError, UsageError
from trikk.core.package import __version__

COMMANDS = {
    "init": ("project_commands", "Make a project, empty or from an example."),
    "pipelines": ("run_commands.run_views", "List the project's pipelines, their parameters and steps."),
    "run": ("run_commands.execute", "Run a pipeline."),
    "backfill": ("run_commands.backfill", "Run pipelines for each day of a period."),
    "backfills": ("run_commands.backfills_command", "List backfills, show one, pause, resume or cancel it."),
    "runs": ("run_commands.run_views", "List runs, the newest first."),
    "show": ("run_commands.run_views", "Show a run: its steps, what they made, what it is locked to."),
    "logs": ("run_commands.log_command", "Print the logs of a run or a step; -f follows them."),
    "resume": ("run_commands.execute", "Continue a run from its failed or unfinished steps."),
    "replay": ("run_commands.execute", "Repeat a run from its lock and compare every result."),
    "image": ("target_commands.image_command", "Write the container image in which engines run steps."),
    "executions": ("target_commands.executions_command", "Take in what engines elsewhere have done."),
    "approvals": ("run_commands.approval_commands", "List what runs ask people."),
    "approve": ("run_commands.approval_commands", "Say yes to what a run asks, and go on with it."),
    "refuse": ("run_commands.approval_commands", "Say no to what a run asks, and go on with it."),
    "cancel": ("run_commands.execute", "Stop a run."),
    "costs": ("run_commands.costs_command", "Show what runs took and cost: by step, pipeline, branch, model."),
    "compare": ("run_commands.experiments", "Show runs side by side: parameters, metrics, data."),
    "artifacts": ("run_commands.experiments", "List what a run made and logged; write or open one of them."),
    "sweep": ("run_commands.experiments", "Search for good parameters: a run for each, ranked."),
    "mirror": ("run_commands.experiments", "Copy finished runs to an MLflow server."),
    "triggers": ("server_commands.trigger_commands", "List what starts runs by itself, show it, pause it."),
    "fire": ("server_commands.trigger_commands", "Start a trigger's run by hand."),
    "streams": (
        "server_commands.stream_commands",
        "List what is read into tables; try again what was set aside.",
    ),
    "tables": ("table_commands", "List tables, or show one: columns, rows, versions."),
    "models": (
        "model_commands.registered_models",
        "List registered models, show and compare versions, move aliases.",
    ),
    "monitor": (
        "monitor_commands.monitor_view",
        "Show how good predictions were: windows, slices, the worst cases.",
    ),
    "watch": (
        "monitor_commands.watch_command",
        "Evaluate monitors, open and resolve incidents, tell people, make reports.",
    ),
    "incidents": ("monitor_commands.incident_commands", "List incidents, show one, acknowledge or resolve it."),
    "channels": ("monitor_commands.channel_command", "List where messages go; send a test to a channel."),
    "serve": ("server_commands.serve_command", "Run the project unattended, with a REST API."),
    "token": ("access_commands.token_command", "Make, list and revoke tokens, by which servers know programs."),
    "people": ("access_commands.people_command", "List who has signed in, and which groups have which role."),
    "audit": ("access_commands.audit_command", "Show who changed what, when, and from where."),
    "subscribe": ("monitor_commands.subscription_commands", "Have an address get what is sent to a topic."),
    "unsubscribe": ("monitor_commands.subscription_commands", "Have an address get nothing more of a topic."),
    "subscriptions": ("monitor_commands.subscription_commands", "List who subscribes to what."),
    "timeline": (
        "monitor_commands.timeline_command",
        "Tell what happened: alarms, what they started, models, reports.",
    ),
    "explain": ("monitor_commands.monitor_view", "Show everything behind one prediction."),
    "backtest": (
        "monitor_commands.backtest_command",
        "Replay the past: which alarms would have fired, which threshold to choose.",
    ),
    "ab": ("model_commands.ab_command", "Compare two models, or a model and a rule, on exactly the same cases."),
    "report": ("monitor_commands.report_command", "List reports, make one for a past period, send it."),
    "ingest": ("table_commands", "Load files into a table."),
    "tail": ("run_commands.tail", "Print the messages of a stream; -f follows it."),
    "check": ("target_commands.check_command", "Say what an engine elsewhere can't do with a pipeline."),
    "compile": ("target_commands.compile_command", "Print a pipeline in an engine's own format."),
    "endpoint": ("model_commands.endpoint", "Serve a registered model over HTTP."),
    "features": ("model_commands.feature_tables", "List feature tables, show an entity's features, sync them."),
    "copy": ("copy_command", "Copy all that runs made to another place of storage, and back."),
    "aws": ("target_commands.aws_command", "Make, change and delete what pipelines need at AWS."),
    "gc": ("table_commands", "Remove what no kept run needs."),
    "doctor": ("project_commands", "Check the project, its journal, artifacts and tables."),
}


class Commands(click.Group):
    """Loads each command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A command by name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"trikk.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        return refusing_servers(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but with a suggestion for an unknown command."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]!r}?" if close else "`trikk --help` lists them."
            raise click.UsageError(f"There is no command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"trikk {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-C", "--project", metavar="DIR", help="The project's folder; the current one by default.")
@click.option("--server", envvar=SERVER, metavar="URL", help=f"Ask a server instead of this folder; {SERVER}.")
@click.option(
    "--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version."
)
@click.pass_context
def cli(context: click.Context, project: str | None, server: str | None) -> None:
    """MLOps on rails: pipelines in plain Python that run, resume and replay.

    Start with `trikk init --example city DIR`, or `trikk init DIR`.
    """
    context.obj = server
    if project is not None:
        try:
            os.chdir(project)
        except (OSError, ValueError) as error:
            raise click.UsageError(f"{project!r} is not a folder: {error}") from error


def main(args: list[str] | None = None) -> None:
    """Run the command line; exits 0 when done, 1 when something failed, 2 for wrong usage, 3 if a run waits."""
    arguments = sys.argv[1:] if args is None else args
    as_json = "--json" in arguments
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in other bytes than UTF-8 stops nothing
    try:
        code = cli.main(args=arguments, prog_name="trikk", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        wrong_usage = UsageError(
            error.format_message(), next=f"{context.command_path if context else 'trikk'} --help"
        )
        _report(as_json, wrong_usage)
        sys.exit(2)
    except TrikkError as error:
        _report(as_json, error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _report(as_json, TrikkError("stopped"))
        sys.exit(1)
    except BrokenPipeError:
        # Else Python flushes once more when it ends, into the closed pipe, and prints a trace.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except BaseException as error:
        if isinstance(error, SystemExit) or os.environ.get("TRIKK_DEBUG"):
            raise
        _report(as_json, _unforeseen(error))
        sys.exit(1)


def _open_streams() -> None:
    """Put /dev/null where a standard stream is closed, so that no file of trikk's gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def _unforeseen(error: BaseException) -> TrikkError:
    """An error that nothing below has put into words."""
    if (damage := _damaged_table(error)) is not None:
        return damage
    if isinstance(error, OSError):
        mend = "check that it is there, that it may be read and written, and that the disk has room"
        where = None if error.filename is None else str(error.filename)
        return TrikkError(f"the system refused: {error.strerror or error}", where=where, next=mend)
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    return TrikkError(
        f"trikk ran into something unexpected: {type(error).__name__}: {error}",
        where=f"{frame.filename}:{frame.lineno}",
        next="this is a bug in trikk; TRIKK_DEBUG=1 in front of the command shows the stack",
    )


def _damaged_table(error: BaseException) -> TrikkError | None:
    """The damaged file of a table over which a library has stumbled, if it is that."""
    if type(error).__module__.partition(".")[0] not in (
        "polars",
        "pyarrow",
        "deltalake",
        "pyo3_runtime",
        "_internal",
    ):
        return None
    from trikk.execution.project import Project

    try:
        tables = Project.open().tables
        return next((damage for name in tables.names() for damage in tables.damage(name)), None)
    except TrikkError as damage_of_all:
        return damage_of_all


def _report(as_json: bool, error: TrikkError) -> None:
    from trikk.cli.printing import echo, print_json, style

    if as_json:
        print_json({"error": error.to_json()})
    echo(style("error:", fg="red", bold=True), f" {error}", err=True)


if __name__ == "__main__":
    main()
