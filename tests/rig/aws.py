"""moto's server: DynamoDB, SQS, S3, SNS and Secrets Manager on loopback, spoken to by real boto3."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
ACCESS_KEY = "testing"
SECRET_KEY = "testing"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Aws:
    """One running moto server."""

    url: str

    def client(self, service: Any) -> Any:
        return boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION).client(
            service, endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1})
        )

    def table(self) -> str:
        """Create a ledger table as template.yaml does, and return its name."""
        name = f"copies-{next(_numbers)}"
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "folder_id", "AttributeType": "S"},
                {"AttributeName": "image_id", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "folder_id", "KeyType": "HASH"},
                {"AttributeName": "image_id", "KeyType": "RANGE"},
            ],
        )
        return name

    def queue(self) -> str:
        url: str = self.client("sqs").create_queue(QueueName=f"queue-{next(_numbers)}")["QueueUrl"]
        return url

    def bucket(self) -> str:
        name = f"bucket-{next(_numbers)}"
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }


@contextmanager
def running_aws() -> Iterator[Aws]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Aws(f"http://{host}:{port}")
    finally:
        server.stop()
