#!/bin/sh
# opentelemetry-sdk 1.45.2, Python 3.11: two things that a TracerProvider does to a process that forks, or seeds.
#
# 1. A provider that is there at a fork runs the detectors of its resource anew in every child, with entry points looked
#    up and a pool of threads: milliseconds for each fork, whether or not the child ever begins a span.
# 2. The ids of spans come from the global generator of `random`. After random.seed(n) they repeat, and a span moves
#    the numbers that come after it.
#
# Seen on 30 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.2
"$folder/venv/bin/python" - <<'EOF'
import os
import random
import time

from opentelemetry.sdk import resources, trace


def forks(count=50):
    began = time.perf_counter()
    for _ in range(count):
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    return (time.perf_counter() - began) / count * 1000


bare = forks()
provider = trace.TracerProvider(resource=resources.Resource.get_empty())
print(f"a fork and its end: {bare:.2f} ms, with a provider {forks():.2f} ms")

detect = resources.get_aggregated_resources
resources.get_aggregated_resources = lambda *_, **__: os._exit(7)
child = os.fork()
if child == 0:
    os._exit(0)
detected = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
resources.get_aggregated_resources = detect
print("resources are detected in a child that begins no span:", detected)


def seeded():
    random.seed(7)
    with provider.get_tracer("t").start_as_current_span("s") as span:
        return span.get_span_context().span_id, random.random()


random.seed(7)
alone = random.random()
(first, drawn), (second, _) = seeded(), seeded()
print("ids after the same seed:", f"{first:016x} {second:016x}", "and random() after a span:", drawn, "instead of", alone)
raise SystemExit(not (detected and first == second and drawn != alone))
EOF
