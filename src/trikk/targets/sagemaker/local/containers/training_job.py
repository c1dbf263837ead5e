"""A training job by its contract: channels from S3, the command, the model and other outputs as archives on S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html. A job that was stopped, or has
run for as long as it may, leaves what it has of its model, as there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from trikk.core.errors import RunError
from trikk.targets.sagemaker.local.containers.bucket_transfer import pack
from trikk.targets.sagemaker.local.containers.job_process import EndReason
from trikk.targets.sagemaker.local.containers.job_requests import training_files, volume_of
from trikk.targets.sagemaker.local.containers.job_site import (
    JobEnd,
    JobFailed,
    JobSite,
    check_end,
    failure_of,
    failures_told,
)
from trikk.targets.sagemaker.local.definition.service_retries import FailureType
from trikk.targets.sagemaker.local.definition.step_order import StepPhase

_CHECKPOINTS = "/opt/ml/checkpoints"


def run_training(request: Mapping[str, Any], name: str, arn: str, site: JobSite) -> JobEnd:
    """Carry out a training job; arguments as of `run_processing`, the request is of CreateTrainingJob."""
    created = site.clock.now()
    answer: dict[str, Any] = {**request, "TrainingJobName": name, "TrainingJobArn": arn, "CreationTime": created}
    try:
        with failures_told():
            reason = _carry_out(request, name, arn, site, answer)
    except JobFailed as error:
        answer |= {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": error.what}
        return JobEnd(StepPhase.FAILED, answer, error.failure, error.what)
    finally:
        answer["TrainingEndTime"] = site.clock.now()
    if reason == EndReason.TIMED_OUT:
        answer |= {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
        why = "MaxRuntimeExceeded: the job has run longer than it may"
        return JobEnd(StepPhase.FAILED, answer, FailureType.CLIENT, why)
    status = "Stopped" if reason == EndReason.STOPPED else "Completed"
    answer |= {"TrainingJobStatus": status, "SecondaryStatus": status}
    return JobEnd(StepPhase.STOPPED if reason == EndReason.STOPPED else StepPhase.SUCCEEDED, answer)


def _carry_out(
    request: Mapping[str, Any], name: str, arn: str, site: JobSite, answer: dict[str, Any]
) -> EndReason:
    site.write(training_files(request))
    for folder in ("model", "output/data", "input/data", "code"):
        (site.ml / folder).mkdir(parents=True, exist_ok=True)
    for channel in request.get("InputDataConfig") or []:
        source = channel["DataSource"]["S3DataSource"]
        place = site.ml / "input" / "data" / channel["ChannelName"]
        site.transfer.download(source["S3Uri"], place, kind=source.get("S3DataType", "S3Prefix"))
    checkpoints = request.get("CheckpointConfig") or {}
    if checkpoints:
        _bring_checkpoints(checkpoints, site)
    algorithm = request["AlgorithmSpecification"]
    command = [*(algorithm.get("ContainerEntrypoint") or ["train"]), *(algorithm.get("ContainerArguments") or [])]
    answer["TrainingStartTime"] = site.clock.now()
    end = site.run(command, request, {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn})
    if checkpoints:
        kept = site.place(checkpoints.get("LocalPath", _CHECKPOINTS))
        site.transfer.upload_folder(kept, checkpoints["S3Uri"])
    _upload(request, name, site, answer, with_model=end.code == 0 or end.reason != EndReason.EXITED)
    check_end(end, failure_of(site.ml / "output" / "failure"), volume_of(request))
    return end.reason


def _bring_checkpoints(checkpoints: Mapping[str, Any], site: JobSite) -> None:
    place = site.place(checkpoints.get("LocalPath", _CHECKPOINTS))
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(RunError):  # the first attempt finds none
        site.transfer.download(checkpoints["S3Uri"], place)


def _upload(
    request: Mapping[str, Any], name: str, site: JobSite, answer: dict[str, Any], *, with_model: bool
) -> None:
    """Put what the container has left into S3, packed unless the request says otherwise."""
    output = request["OutputDataConfig"]
    above = f"{output['S3OutputPath'].rstrip('/')}/{name}/output"
    if output.get("CompressionType", "GZIP") == "NONE":
        site.transfer.upload_folder(site.ml / "output" / "data", f"{above}/data")
        if with_model:
            site.transfer.upload_folder(site.ml / "model", f"{above}/model")
            answer["ModelArtifacts"] = {"S3ModelArtifacts": f"{above}/model/"}
        return
    archives = [("output.tar.gz", site.ml / "output" / "data")]
    archives += [("model.tar.gz", site.ml / "model")] if with_model else []
    for archive, folder in archives:
        path = site.folder / archive
        if pack(folder, path):
            site.transfer.upload(path, f"{above}/{archive}")
            path.unlink()
            if folder.name == "model":
                answer["ModelArtifacts"] = {"S3ModelArtifacts": f"{above}/{archive}"}
