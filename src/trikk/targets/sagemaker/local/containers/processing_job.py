"""A processing job by its contract: inputs from S3 to their LocalPath, the command, outputs back to S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html. Outputs go to S3 when the
container has ended with 0; what is to be uploaded continuously is uploaded then, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.targets.sagemaker.local.containers.job_process import EndReason
from trikk.targets.sagemaker.local.containers.job_requests import processing_files, volume_of
from trikk.targets.sagemaker.local.containers.job_site import (
    JobEnd,
    JobFailed,
    JobSite,
    check_end,
    failures_told,
    message_of,
)
from trikk.targets.sagemaker.local.definition.service_retries import FailureType
from trikk.targets.sagemaker.local.definition.step_order import StepPhase


def run_processing(request: Mapping[str, Any], name: str, arn: str, site: JobSite) -> JobEnd:
    """Carry out a processing job.

    Args:
        request: of CreateProcessingJob, its expressions evaluated.
        name: the job's.
        arn: the job's.
        site: where and with what.
    """
    created = site.clock.now()
    answer: dict[str, Any] = {
        **request,
        "ProcessingJobName": name,
        "ProcessingJobArn": arn,
        "CreationTime": created,
    }
    try:
        with failures_told():
            reason = _carry_out(request, name, arn, site, answer)
    except JobFailed as error:
        answer |= {"ProcessingJobStatus": "Failed", "FailureReason": error.what}
        return JobEnd(StepPhase.FAILED, answer, error.failure, error.what)
    finally:
        answer["ProcessingEndTime"] = site.clock.now()
    if reason == EndReason.STOPPED:
        return JobEnd(StepPhase.STOPPED, answer | {"ProcessingJobStatus": "Stopped"})
    return JobEnd(StepPhase.SUCCEEDED, answer | {"ProcessingJobStatus": "Completed"})


def _carry_out(
    request: Mapping[str, Any], name: str, arn: str, site: JobSite, answer: dict[str, Any]
) -> EndReason:
    site.write(processing_files(request, name, arn))
    (site.ml / "output").mkdir(exist_ok=True)
    for given in request.get("ProcessingInputs") or []:
        source = given["S3Input"]
        site.transfer.download(
            source["S3Uri"], site.place(source["LocalPath"]), kind=source.get("S3DataType", "S3Prefix")
        )
    outputs = [each["S3Output"] for each in request.get("ProcessingOutputConfig", {}).get("Outputs", [])]
    for output in outputs:
        site.place(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
    container = request["AppSpecification"]
    command = [*container["ContainerEntrypoint"], *(container.get("ContainerArguments") or [])]
    answer["ProcessingStartTime"] = site.clock.now()
    end = site.run(command, request, {})
    message = message_of(site.ml / "output" / "message")
    if message:
        answer["ExitMessage"] = message
    reason = f"AlgorithmError: {message}, exit code: {end.code}" if message else ""
    check_end(end, reason, volume_of(request))
    if end.reason == EndReason.TIMED_OUT:
        raise JobFailed("MaxRuntimeExceeded: the job has run longer than it may", FailureType.CLIENT)
    if end.reason == EndReason.EXITED:
        for output in outputs:
            site.transfer.upload_folder(site.place(output["LocalPath"]), output["S3Uri"])
    return end.reason
