"""How well classes are told apart: the confusion matrix of the last windows together, and each class's metrics."""

from __future__ import annotations

from trikk.console.page_view import Sheet
from trikk.console.pages.monitors.class_matrix import matrix_picture
from trikk.console.pages.monitors.monitor_choice import Choice, TabView
from trikk.monitoring.drilldown.recent_windows import matrix_document, recent_windows

_MOST = 400  # windows that are taken together
_ROWS = 100  # classes on the page
_FIELDS = ("name", "support", "predicted", "precision", "recall", "f1", "mistakes")


def classes_tab(choice: Choice) -> TabView:
    """The classes of the last windows, of all cases or of a slice."""
    project = choice.doors.site.project
    recent = recent_windows(project, choice.spec, choice.kind, min(choice.query.last, _MOST), choice.part)
    matrix = recent.matrix
    classes = sorted(matrix.by_class if matrix else (), key=lambda one: (-one.mistakes, one.name))
    newest = next((w.label for w in reversed(recent.windows) if w.whole.labelled), "")
    kept = {"window": newest, "kind": choice.kind} | ({"slice": choice.query.slice} if choice.part else {})
    address = f"{choice.address}/cases"
    context = {
        "matrix": matrix_picture(matrix, address if newest else "", kept) if matrix else "",
        "classes": classes[:_ROWS],
        "more_classes": max(0, len(classes) - _ROWS),
        "first": recent.windows[0].label if recent.windows else "",
        "newest": newest,
        "count": len(recent.windows),
        "total": matrix.total if matrix else 0,
    }
    rows = [[getattr(one, name) for name in _FIELDS] for one in classes]
    command = f"trikk monitor {choice.spec.name} --last {len(recent.windows) or 1}"
    return TabView(
        matrix_document(matrix),
        context,
        {"classes": lambda: Sheet(("class", *_FIELDS[1:]), rows)},
        [("Show the matrix:", command)],
    )
