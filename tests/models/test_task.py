"""Classes: their order and types, which is positive, and what their probabilities' columns are called."""

import pytest

from trikk.core.errors import UsageError
from trikk.models.task import Classes, Task, class_text


def test_of_false_and_true_or_0_and_1_the_second_is_positive_without_asking():
    assert Classes((False, True)).positive is True
    assert Classes((1, 0)).positive == 1
    assert Classes((0.0, 1.0)).positive == 1.0


@pytest.mark.parametrize("values", [("leak", "ok"), (1, 2), (0, 2), (-1, 1), ("0", "1")])
def test_of_other_pairs_it_is_asked_for(values):
    with pytest.raises(UsageError, match="positive one is not known") as refused:
        Classes(values)
    assert f"positive={values[1]!r}" in refused.value.next


def test_the_positive_class_is_one_of_them_in_its_own_type():
    assert Classes(("leak", "ok"), "leak").positive == "leak"
    assert isinstance(Classes((1.0, 2.0), 2).positive, float)
    with pytest.raises(UsageError, match="not one of the classes 'leak', 'ok'"):
        Classes(("leak", "ok"), "Leak")


def test_columns_name_the_class_that_a_probability_is_of():
    assert Classes(("leak", "ok"), "leak").columns() == {"probability": "leak"}
    assert Classes((3, 20, 100)).columns("p") == {"p_3": 3, "p_20": 20, "p_100": 100}
    assert Classes((3, 20, 100)).task is Task.MULTICLASS


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((3,), "one class, 3"),
        ((), "no classes"),
        ((3, 3.0), "'3' comes twice"),
        ((0.5, 1.0), "0.5 can't be a class"),
    ],
)
def test_what_can_be_no_classes_is_refused(values, reason):
    with pytest.raises(UsageError, match=reason):
        Classes(values)


def test_many_classes_have_no_positive_one():
    with pytest.raises(UsageError, match="is for two classes"):
        Classes((1, 2, 3), 1)


def test_classes_go_to_json_and_back():
    for classes in (Classes((False, True)), Classes(("a", "b"), "a"), Classes((3, 20, 100))):
        assert Classes.read(classes.to_json()) == classes
    assert [class_text(value) for value in (True, 3.0, 3, "3")] == ["true", "3", "3", "3"]
