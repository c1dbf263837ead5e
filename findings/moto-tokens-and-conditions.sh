#!/bin/sh
# moto 5.2.5: three answers that differ from AWS's, and what a test that believes them would prove.
#
#   StartPipelineExecution     one ClientRequestToken starts two executions: retries look as if they started twice
#   CreateBucket               its tags are dropped; PutBucketTagging keeps them
#   a bucket's policy          a Deny is applied without its Condition: "only over TLS" refuses everybody
#
# Seen on 30 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'moto[s3,sagemaker]==5.2.5' 'boto3==1.44.5'
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import json
import os

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="eu-west-1")

with mock_aws():
    sagemaker = boto3.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/jobs"
    sagemaker.create_pipeline(
        PipelineName="p", PipelineDefinition="{}", RoleArn=role, ClientRequestToken="c" * 32, PipelineDisplayName="p"
    )
    started = {
        sagemaker.start_pipeline_execution(PipelineName="p", ClientRequestToken="t" * 32)["PipelineExecutionArn"]
        for _ in range(2)
    }
    print("executions of one token:", len(started))
    assert len(started) == 2

    s3 = boto3.client("s3")
    place = {"LocationConstraint": "eu-west-1", "Tags": [{"Key": "team", "Value": "city"}]}
    s3.create_bucket(Bucket="city", CreateBucketConfiguration=place)
    try:
        tags = s3.get_bucket_tagging(Bucket="city")["TagSet"]
    except ClientError as error:
        tags = error.response["Error"]["Code"]
    print("tags of a bucket that was made with one:", tags)
    assert tags == "NoSuchTagSet"

    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::city/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="city", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    try:
        s3.put_object(Bucket="city", Key="a", Body=b"1")  # over https
        answer = "taken"
    except ClientError as error:
        answer = error.response["Error"]["Code"]
    print("an object over https, denied without:", answer)
    assert answer == "403"
EOF
