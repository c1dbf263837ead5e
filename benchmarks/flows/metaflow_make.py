"""Metaflow: a step is a method, so fifty steps are fifty methods. `python metaflow_make.py FOLDER` writes them."""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = "import workload\nfrom metaflow import FlowSpec, step\n\n\n"
Method = tuple[str, str, list[str]]


def flow(name: str, methods: list[Method]) -> str:
    """The source of a flow: `methods` are (name, further arguments, lines)."""
    text = f"{HEAD}class {name}(FlowSpec):\n"
    for method, arguments, lines in methods:
        body = "".join(f"        {line}\n" for line in lines)
        text += f"    @step\n    def {method}(self{arguments}):\n{body}\n"
    return f"{text}\nif __name__ == '__main__':\n    {name}()\n"


def linear(name: str, bodies: list[str]) -> str:
    """A flow whose steps follow one another; the first is `start`, the last `end`, as Metaflow asks."""
    names = ["start", *[f"step{i}" for i in range(2, len(bodies))], "end"]
    methods: list[Method] = []
    for i, (method, body) in enumerate(zip(names, bodies, strict=True)):
        onward = [f"self.next(self.{names[i + 1]})"] if i + 1 < len(names) else []
        methods.append((method, "", [body, *onward]))
    return flow(name, methods)


def main(folder: Path) -> None:
    """Write every case's flow file."""
    add = "self.x += 1"
    ending = "self.x = workload.last(self.x + 1)"
    frame = [
        "self.frame = workload.pandas_frame()",
        "self.frame = workload.pandas_transform(self.frame)",
        "self.sums = workload.pandas_consume(self.frame)",
    ]
    delicate = ["self.x = 0", *[f"self.x = workload.delicate({i}, self.x)" for i in range(1, 11)], "pass"]
    fan: list[Method] = [
        (
            "start",
            "",
            ["self.x, self.items = 1, list(range(workload.WIDTH))", "self.next(self.branch, foreach='items')"],
        ),
        ("branch", "", ["self.y = self.x + self.input", "self.next(self.join)"]),
        ("join", ", inputs", ["self.total = workload.last(sum(i.y for i in inputs))", "self.next(self.end)"]),
        ("end", "", ["pass"]),
    ]
    sources = {
        "one": linear("OneFlow", ["self.x = 0", ending]),
        "chain": linear("ChainFlow", ["self.x = 1", *[add] * 48, ending]),
        "fan": flow("FanFlow", fan),
        "pandas": linear("FrameFlow", frame),
        "resume": linear("ResumeFlow", delicate),
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
