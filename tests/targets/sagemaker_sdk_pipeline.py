"""The pipeline `nightly` as somebody would write it with AWS's own SDK; prints the definition.

Run in an environment of its own, which has the SDK. What stands here is what `sagemaker_pipelines.py` says, in the
SDK's words: nothing is taken from what trikk compiles.
"""

from __future__ import annotations

import json
import os
from typing import Any

os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"  # else it asks IAM

from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output
from sagemaker.core.shapes.shapes import OutputDataConfig, StoppingCondition
from sagemaker.core.training.configs import Compute
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionLessThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import (
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.step_dependency import StepDependency, TriggerCondition
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

ROLE = "arn:aws:iam::111122223333:role/city-main-jobs"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/city@sha256:" + "0f" * 32
session = PipelineSession(default_bucket="city-main")

day = ParameterString("day")
max_mae = ParameterFloat("max-mae", default_value=4.0)
mode = ParameterString("mode", default_value="daily")
rounds = ParameterInteger("rounds", default_value=20)
dry = ParameterBoolean("dry", default_value=False)
trigger = ParameterString("Trigger", default_value="")
tick = ParameterString("Tick", default_value="")


def command(step: str, message: str = "message") -> list[Any]:
    return [
        *(step, "--pipeline", "nightly", "--execution", ExecutionVariables.PIPELINE_EXECUTION_ID),
        *("--engine", "sagemaker", "--exchange", "s3://city-main/artifacts/exchange"),
        *("--store", "s3://city-main/artifacts", "--tables", "s3://city-main/tables", "--code", "c0de" * 16),
        *("--environment", "main", "--trigger", trigger, "--tick", tick),
        *("--message", f"/opt/ml/output/{message}"),
        *("--parameter", "day", day),
        *("--parameter", "max_mae", Join(on="", values=[max_mae])),
        *("--parameter", "mode", mode),
        *("--parameter", "rounds", Join(on="", values=[rounds])),
        *("--parameter", "dry", Join(on="", values=[dry])),
    ]


def processing(
    name: str, step: str, instance: str, seconds: int, outcome: bool = False, **more: Any
) -> ProcessingStep:
    processor = Processor(
        role=ROLE,
        image_uri=IMAGE,
        instance_count=1,
        instance_type=instance,
        volume_size_in_gb=30,
        max_runtime_in_seconds=seconds,
        entrypoint=["python", "-m", "trikk.targets.jobs.step_job"],
        sagemaker_session=session,
    )
    arguments, outputs, files = command(step), [], []
    if outcome:
        arguments += ["--outcome", "/opt/ml/processing/outcome/outcome.json"]
        place = Join(
            on="",
            values=[
                "s3://city-main/artifacts/exchange/",
                ExecutionVariables.PIPELINE_EXECUTION_ID,
                f"/outcomes/{name}",
            ],
        )
        kept = ProcessingS3Output(s3_uri=place, local_path="/opt/ml/processing/outcome", s3_upload_mode="EndOfJob")
        outputs = [ProcessingOutput(output_name="outcome", s3_output=kept, app_managed=False)]
        files = [PropertyFile(name="Outcome", output_name="outcome", path="outcome.json")]
    run = processor.run(outputs=outputs, arguments=arguments)
    return ProcessingStep(name=name, step_args=run, property_files=files, **more)


def training(name: str, step: str, instance: str, **more: Any) -> TrainingStep:
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=ROLE,
        training_image=IMAGE,
        compute=Compute(instance_type=instance, instance_count=1, volume_size_in_gb=30),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=86_400),
        output_data_config=OutputDataConfig(s3_output_path="s3://city-main/models"),
        hyperparameters={"rounds": Join(on="", values=[rounds]), "depth": "6"},
    )
    return TrainingStep(name=name, step_args=trainer.train(), **more)


SERVICE = [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING]
JOB = [
    SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
    SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
    SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT,
]
TIMING: dict[str, Any] = {"interval_seconds": 30, "backoff_rate": 2.0, "max_attempts": 3}

counts = processing(
    "counts",
    "counts",
    "ml.t3.medium",
    3210,
    retry_policies=[StepRetryPolicy(SERVICE, **TIMING), SageMakerJobStepRetryPolicy(JOB, **TIMING)],
)
fit = training("fit", "fit", "ml.m5.4xlarge", depends_on=["counts"])
score = processing("score", "score", "ml.t3.medium", 86_400, outcome=True, depends_on=["counts", "fit"])
risky = processing("risky", "risky", "ml.t3.medium", 86_400, depends_on=["score"])
tell = processing(
    "tell", "tell", "ml.t3.medium", 86_400, depends_on=[StepDependency(risky, TriggerCondition.ANY), "score"]
)
register = processing("register-model", "register_model", "ml.t3.medium", 86_400, depends_on=["fit", "score"])
mae = JsonGet(step_name="score", property_file="Outcome", json_path="value.mae")
condition = ConditionStep(
    name="when-register-model",
    conditions=[ConditionLessThanOrEqualTo(left=mae, right=max_mae), ConditionEquals(left=mode, right="daily")],
    if_steps=[register],
)
pipeline = Pipeline(
    name="city-main-nightly",
    parameters=[day, max_mae, mode, rounds, dry, trigger, tick],
    steps=[counts, fit, score, risky, tell, condition],
    sagemaker_session=session,
    pipeline_experiment_config=None,
)
print(json.dumps(json.loads(pipeline.definition())))
