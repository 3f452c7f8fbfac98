"""A small Lambda on this machine: the template's functions, each in its own process, with moto's AWS around them.

    with LocalHost(template=Path("template.yaml"), parameters={"ImagePolicy": policy}) as host:
        host.aws.client("s3").put_object(Bucket=host.resource("TrailBucket").ref, Key="trail.json", Body=records)
        host.fire("CopyOnNewComputeImageFunctionSweep").result(timeout=30)

What is like Lambda: awslambdaric as the runtime; the template's environment, time limits and memory figure; cold
starts, one invocation per process, killed processes; partial batch failures, visibility and redrive; retries and
failure destinations of asynchronous events; EventBridge patterns and schedules; HTTP events. What is not: nobody checks
permissions, memory is not limited, and the machine's own Python runs the code.
"""

from __future__ import annotations

from local.host.aws import LocalAws
from local.host.functions import Function, FunctionError, HostClosedError, Invocation
from local.host.host import DeadLetter, LocalHost
from local.host.stack import Physical
from local.host.template import Template, TemplateError

__all__ = [
    "DeadLetter",
    "Function",
    "FunctionError",
    "HostClosedError",
    "Invocation",
    "LocalAws",
    "LocalHost",
    "Physical",
    "Template",
    "TemplateError",
]
