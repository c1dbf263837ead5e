"""What is to be done follows from what is wanted and what is there, and from nothing else."""

from __future__ import annotations

from trikk.targets.aws_resources.change_plan import Action, AttributeChange, change_plan, differences
from trikk.targets.aws_resources.kinds.resource_port import Kind, Resource

OWNER = {"trikk:project": "city", "trikk:environment": "main"}


def resource(kind: Kind, name: str, **attributes: object) -> Resource:
    return Resource(kind, name, {**attributes, "tags": OWNER}, "why")


def test_what_is_missing_is_made_in_the_order_in_which_it_is_needed() -> None:
    wanted = [resource(Kind.ALARM, "a"), resource(Kind.BUCKET, "b"), resource(Kind.ROLE, "r")]
    plan = change_plan(wanted, {}, OWNER)
    assert [(c.action, c.name) for c in plan.changes] == [(Action.CREATE, name) for name in "bra"]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    wanted = [resource(Kind.ROLE, "r", trust={"a": [1]})]
    plan = change_plan(wanted, {(Kind.ROLE, "r"): dict(wanted[0].attributes)}, OWNER)
    assert plan.changes == ()
    assert plan.unchanged == 1


def test_a_change_names_the_value_from_what_to_what() -> None:
    wanted = [resource(Kind.ROLE, "r", trust={"a": [1, {"b": 2}]}, size=1)]
    there = {(Kind.ROLE, "r"): {"trust": {"a": [1, {"b": 3}]}, "tags": OWNER, "size": 1}}
    (change,) = change_plan(wanted, there, OWNER).changes
    assert change.action is Action.UPDATE
    assert change.attributes == (AttributeChange("trust.a.1.b", 3, 2),)


def test_what_is_no_longer_wanted_is_deleted_last_those_first_that_need_others() -> None:
    there = {(kind, "x"): {"tags": OWNER} for kind in Kind}
    plan = change_plan([resource(Kind.BUCKET, "new")], there, OWNER)
    assert plan.changes[0].action is Action.CREATE
    assert [c.kind for c in plan.changes[1:]] == list(reversed(Kind))


def test_somebody_elses_is_neither_taken_over_nor_deleted() -> None:
    other = {"trikk:project": "city", "trikk:environment": "test"}
    there = {(Kind.ROLE, "r"): {"tags": other}, (Kind.ALARM, "a"): {"tags": {}}}
    plan = change_plan([resource(Kind.ROLE, "r")], there, OWNER)
    assert plan.foreign == ((Kind.ROLE, "r"),)
    assert plan.changes == ()


def test_what_has_no_tags_is_whose_the_resource_is_that_it_lies_in() -> None:
    schedule, group = (Kind.SCHEDULE, "s"), (Kind.SCHEDULE_GROUP, "g")
    assert [c.name for c in change_plan([], {schedule: {}, group: {"tags": OWNER}}, OWNER).changes] == ["s", "g"]
    assert change_plan([], {schedule: {}, group: {"tags": {}}}, OWNER).changes == ()


def test_lists_of_other_lengths_differ_as_a_whole() -> None:
    assert list(differences([1], [1, 2], "x")) == [AttributeChange("x", [1], [1, 2])]
    assert list(differences({"a": 1, "b": 2}, {"a": 1})) == [AttributeChange("b", 2, None)]
