#!/bin/sh
# A dataclass that becomes a msgspec Struct: its old pickles can't be read, and mypy sees no fault in dataclasses.replace.
#
# msgspec 0.23.0, mypy 1.19.0. Seen on Python 3.11:
#   the pickle of a dataclass (with or without slots), loaded after its class has become a Struct of the same fields:
#   UnpicklingError, "NEWOBJ class argument ... doesn't have __new__"
#   dataclasses.replace(struct, x=2): mypy --strict finds nothing, since Struct is declared a dataclass-like class;
#   at run time it is a TypeError. msgspec.structs.replace is what works.
# Ends with 1 if this changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "msgspec==0.23.0" "mypy==1.19.0"
cd "$folder"
cat > typed.py <<'PY'
import dataclasses

import msgspec


class Point(msgspec.Struct, frozen=True):
    x: int


def moved(point: Point) -> Point:
    return dataclasses.replace(point, x=2)
PY
cat > seen.py <<'PY'
import pickle
import subprocess
import sys
from dataclasses import dataclass

import msgspec
import typed


def dumped(slots):
    @dataclass(frozen=True, slots=slots)
    class Place:
        x: int

    Place.__qualname__ = "Place"
    globals()["Place"] = Place
    return pickle.dumps(Place(1))


old = [dumped(slots=False), dumped(slots=True)]
Place = msgspec.defstruct("Place", [("x", int)], module=__name__, frozen=True)
refused = []
for data in old:
    try:
        print("read:", pickle.loads(data))
    except pickle.UnpicklingError as error:
        refused.append(str(error))
        print("UnpicklingError:", error)
checked = subprocess.run([sys.executable, "-m", "mypy", "--strict", "typed.py"], capture_output=True, text=True)
print("mypy:", checked.stdout.strip())
try:
    moves = bool(typed.moved(typed.Point(1)))
except TypeError as error:
    moves = False
    print("TypeError:", error)
copy = msgspec.structs.replace(typed.Point(1), x=2)
sys.exit(not (len(refused) == 2 and checked.returncode == 0 and not moves and copy == typed.Point(2)))
PY
"$folder/env/bin/python" seen.py
