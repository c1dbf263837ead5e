"""What `trikk doctor` says of reports: whether the monitors that they name are there, and slice as is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trikk.core.errors import UnknownName
from trikk.execution.upkeep.project_check import Finding
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.report_definition import ReportSpec


def examine(reports: Sequence[ReportSpec], monitors: Mapping[str, MonitorSpec]) -> Iterator[Finding]:
    """Look at each report."""
    for spec in reports:
        wrong = [one for name in spec.monitors if (one := _wrong(spec, name, monitors)) is not None]
        for error in wrong:
            yield Finding(f"report {spec.name}", False, error.what, error.next)
        if not wrong:
            yield Finding(f"report {spec.name}", True, f"its monitors are declared: {', '.join(spec.monitors)}")


def _wrong(spec: ReportSpec, name: str, monitors: Mapping[str, MonitorSpec]) -> UnknownName | None:
    if name not in monitors:
        return UnknownName("monitor", name, monitors)
    slices = monitors[name].slices
    if spec.customers and spec.customer_slice not in slices:
        mend = f"add {spec.customer_slice!r} to the slices of monitor {name}"
        return UnknownName(f"slice of monitor {name}", spec.customer_slice, slices, next=mend)
    return None
