"""What a cold start imports, next to what one would import instead: the official SDK with boto3.

Each line is the best of several fresh interpreters, in milliseconds and megabytes; the ratio is to the official SDK.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 7
PROBE = """
import resource, sys, time
began = time.perf_counter()
{body}
print((time.perf_counter() - began) * 1000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
BOTO3 = "import boto3; s = boto3.Session(region_name='eu-central-1'); s.client('sqs'); s.client('dynamodb')"
OFFICIAL = f"""
import yandexcloud
from yandex.cloud.clouddesktop.v1.desktop_image_service_pb2_grpc import DesktopImageServiceStub
{BOTO3}
"""
OURS = "from image_pipeline.app import app; import {module}; app()"
CASES = {
    "official SDK and boto3": OFFICIAL,
    "boto3 alone": BOTO3,
    "copy-on-new-compute-image": OURS.format(module="copy_on_new_compute_image"),
    "poll-operation": OURS.format(module="poll_operation"),
    "cleanup": OURS.format(module="cleanup"),
    "poll-operation, HTTP call": OURS.format(module="poll_operation") + "; import image_pipeline.http_api",
}
PATHS = [ROOT / "layers" / "desktop-images", *(ROOT / "functions").iterdir()]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(path) for path in PATHS),
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "YC_TOKEN": "none",
    "POLL_QUEUE_URL": "http://127.0.0.1/queue",
    "COPIES_TABLE": "copies",
    "IMAGE_POLICY": '{"routes": []}',
}


def measure(body: str) -> tuple[float, float]:
    figures = []
    for _ in range(RUNS):
        probe = [sys.executable, "-c", PROBE.format(body=body)]
        done = subprocess.run(probe, env=ENVIRONMENT, check=True, capture_output=True, text=True)
        milliseconds, megabytes = done.stdout.split()
        figures.append((float(milliseconds), float(megabytes)))
    return min(time for time, _ in figures), statistics.median(size for _, size in figures)


def main() -> None:
    base, _ = official = measure(CASES["official SDK and boto3"])
    for name, body in CASES.items():
        milliseconds, megabytes = official if body == OFFICIAL else measure(body)
        print(f"{name:28} {milliseconds:7.0f} ms  {megabytes:6.0f} MB  {milliseconds / base:5.2f} of the official SDK")


if __name__ == "__main__":
    main()
