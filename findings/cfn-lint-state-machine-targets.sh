#!/bin/sh
# cfn-lint 1.58.0: which names of states that do not exist are found in an AWS::StepFunctions::StateMachine.
#
#   StartAt                        found (E3601)
#   Next of a state                not found, though a state is then reached by nobody
#   Next of a Choice rule          not found
#   Default of a Choice            not found
#   Next of a Catch                not found
#
# So that a template passes does not mean that its state machine can be created: AWS refuses each of these.
# Seen on 30 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet --disable-pip-version-check cfn-lint==1.58.0
"$scratch/env/bin/python" - "$scratch" <<'EOP'
import copy
import json
import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1])
MACHINE = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Pass", "Next": "Decide"},
        "Decide": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "Work"}],
            "Default": "Done",
        },
        "Work": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:news", "Message": "hello"},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}],
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
    },
}
PLACES = {
    "none": lambda machine: None,
    "StartAt": lambda machine: machine.update(StartAt="Nowhere"),
    "Next of a state": lambda machine: machine["States"]["Look"].update(Next="Nowhere"),
    "Next of a Choice rule": lambda machine: machine["States"]["Decide"]["Choices"][0].update(Next="Nowhere"),
    "Default of a Choice": lambda machine: machine["States"]["Decide"].update(Default="Nowhere"),
    "Next of a Catch": lambda machine: machine["States"]["Work"]["Catch"][0].update(Next="Nowhere"),
}
seen = {}
for place, change in PLACES.items():
    machine = copy.deepcopy(MACHINE)
    change(machine)
    properties = {"RoleArn": "arn:aws:iam::111122223333:role/machine", "Definition": machine}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = folder / "template.json"
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": resource}}))
    done = subprocess.run([folder / "env/bin/cfn-lint", template], capture_output=True, text=True, check=False)
    seen[place] = "Nowhere" in done.stdout
    print(f"{place:24} {'found' if seen[place] else 'not found':10} exit {done.returncode}")
sys.exit(seen != {place: place == "StartAt" for place in PLACES})
EOP
