"""What a function has on Yandex Cloud: the contents of its archive, its context, and the calls it makes to services."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.package import YANDEX_HERE, fill, function_directories
from image_pipeline.app import app
from tests.deploy.conftest import install_what_is_here


def unpack_functions(directory: Path) -> dict[str, Path]:
    """Make what `make package-yandex` packs, for this interpreter and without an index; all functions in one root."""
    fill(directory, YANDEX_HERE, install_what_is_here)
    for function in function_directories():
        shutil.copytree(function, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return {function.name: directory for function in function_directories()}


class Context:
    """The invocation context of a Yandex function, as the page "Python function invocation context" has it."""

    def __init__(self, token: dict[str, Any] | None = None, *, seconds: float = 60.0) -> None:
        self.function_name = "d4eo2faf620000000000"
        self.function_version = "d4e3vrugh30000000000"
        self.memory_limit_in_mb = 512
        self.request_id = "6e8356f9-489b-4c7b-8ba6-c8cd74f25455"
        self.token = token
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


@dataclass(frozen=True)
class ServiceCall:
    """One call to an AWS-compatible service, as the code made it.

    Attributes:
        service: botocore's name: dynamodb, sqs, s3.
        operation: The name in the API, such as PutItem.
        parameters: As given.
    """

    service: str
    operation: str
    parameters: dict[str, Any]


@contextmanager
def recorded_calls(*more_services: str) -> Iterator[list[ServiceCall]]:
    """Record every call that the present app's clients make while the block lasts, to the ledger, queue and bucket."""
    calls: list[ServiceCall] = []

    def record(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append(ServiceCall(model.service_model.service_name, model.name, dict(params)))

    running = app()
    make = running.client
    clients = {service: make(service) for service in ("dynamodb", "sqs", "s3", *more_services)}
    for client in clients.values():
        client.meta.events.register("provide-client-params.*.*", record)
    try:
        yield calls
    finally:
        for client in clients.values():
            client.meta.events.unregister("provide-client-params.*.*", record)
