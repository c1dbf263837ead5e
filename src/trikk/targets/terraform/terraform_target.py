"""The target `terraform`: the variables of a root module in infra/terraform/environments, for one pipeline.

They hold what only the project knows: the pipeline's definition, when it is started and with what, and the
function that starts it. What the environment knows (role, bucket, what names begin with) the modules fill in, so
that one document serves all environments.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from trikk.core.errors import TrikkError
from trikk.core.settings import Settings
from trikk.core.values import JSON, canonical
from trikk.targets.aws_resources.environment_resources import missed_after
from trikk.targets.aws_resources.function_archive import function_archive
from trikk.targets.aws_resources.schedule_expression import clock_notes, schedule_expression
from trikk.targets.aws_resources.schedule_payload import schedule_payload
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.safe_names import safe_name, safe_names
from trikk.targets.target_port import Problem, Source, refuse, target_named
from trikk.triggers.clock_triggers import Cron
from trikk.triggers.declared import Declared

_ENGINE = "sagemaker"
_LONGEST_PIPELINE = 41  # of the 82 characters of a name, the environment's are 40, and one is between them
_LONGEST_SCHEDULE = 64
_PREFIXED = "PREFIX"  # the modules put the pipeline's name in its place


class Terraform:
    """Pipelines as variables for the modules of infra/terraform."""

    name: ClassVar[str] = "terraform"

    def problems(self, source: Source) -> list[Problem]:
        """All that SageMaker or EventBridge Scheduler can't do, and notes; raises as `Target.problems`."""
        return [*target_named(_ENGINE).problems(source), *_schedule_problems(source)]

    def engine(self, settings: Settings) -> Engine | None:  # noqa: ARG002 - the port's signature
        """None: executions are SageMaker's."""
        return None

    def document(self, source: Source) -> str:
        """The variables as canonical JSON; raises as `Target.document`."""
        refuse(self.problems(source), source, self.name)
        definition = target_named(_ENGINE).document(source)
        graph = source.graph
        crons = [(each, each.trigger) for each in source.triggers if isinstance(each.trigger, Cron)]
        called = safe_names([declared.name for declared, _ in crons], _LONGEST_SCHEDULE)
        pipeline: dict[str, JSON] = {
            "name": safe_name(graph.pipeline, _LONGEST_PIPELINE),
            "definition": definition,
            "missed_after": missed_after(source.triggers),
            "schedules": {
                called[declared.name]: _schedule(source, declared, trigger, json.loads(definition))
                for declared, trigger in crons
            },
            "tags": {"trikk:pipeline": graph.pipeline},
        }
        if first := graph.doc.strip().partition("\n")[0]:
            pipeline["description"] = first
        archive = base64.b64encode(function_archive()).decode()
        return canonical({"pipelines": {graph.pipeline: pipeline}, "start_function": archive}).decode()


def _schedule(source: Source, declared: Declared, trigger: Cron, definition: Mapping[str, Any]) -> dict[str, JSON]:
    payload = schedule_payload(_PREFIXED, source.graph, declared, definition)
    return {
        "expression": schedule_expression(trigger.line),
        "timezone": trigger.timezone or "UTC",
        "input": canonical({key: value for key, value in payload.items() if key != "pipeline"}).decode(),
    }


def _schedule_problems(source: Source) -> Iterator[Problem]:
    for declared in source.triggers:
        trigger = declared.trigger
        if not isinstance(trigger, Cron):
            yield Problem(
                f"trigger {declared.name} is no Cron: nothing starts the pipeline by it at AWS",
                "leave it to `trikk serve`, or write a Cron",
                where=declared.where,
                is_note=True,
            )
            continue
        try:
            schedule_expression(trigger.line)
        except TrikkError as error:
            yield Problem(f"trigger {declared.name}: {error.what}", error.next or "", where=declared.where)
        for note in clock_notes(trigger.line, trigger.zone):
            yield Problem(
                f"trigger {declared.name}: {note}", "nothing, if that is well", where=declared.where, is_note=True
            )
