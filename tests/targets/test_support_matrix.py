"""Every engine compiles what it says it can, and refuses the rest with the author's line and what to change."""

from __future__ import annotations

import pytest
from tests.targets.support_matrix import FEATURES, engines, page_part, source_of, verdict, written

from trikk.core.errors import UsageError


@pytest.mark.parametrize("target", engines())
@pytest.mark.parametrize("feature", FEATURES)
def test_an_engine_does_what_it_says(feature: str, target: str) -> None:
    said = verdict(feature, target)
    if said.problems:
        assert all(problem.next for problem in said.problems)
        assert any("support_matrix.py:" in problem.where for problem in said.problems)
        with pytest.raises(UsageError, match=target):
            engines()[target].document(source_of(feature, target))
    else:
        document = engines()[target].document(source_of(feature, target))
        assert document == engines()[target].document(source_of(feature, target))
        assert all(note.what for note in said.notes)


def test_the_page_has_the_table_as_it_is() -> None:
    assert written() == page_part(), "write it anew: .venv/bin/python -m tests.targets.support_matrix"
