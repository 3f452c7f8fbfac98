"""What the template connects with what: functions, queues, rules, schedules and routes, read from a created stack."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from local.host.asynchronous import AsyncConfig
from local.host.event_bus import Rule
from local.host.functions import FunctionConfig
from local.host.http_gateway import Route
from local.host.queues import QueueMapping
from local.host.schedules import Schedule
from local.host.stack import FUNCTION, QUEUE, Stack

_ANY_METHOD = "x-amazon-apigateway-any-method"


def function_configs(
    stack: Stack, surroundings: Mapping[str, str], overrides: Mapping[str, str]
) -> Iterator[FunctionConfig]:
    """Read the functions.

    Args:
        stack: The created template.
        surroundings: Variables that this host adds as Lambda would, under the template's.
        overrides: Variables over the template's.
    """
    for resource in stack.template.of_type(FUNCTION):
        properties = stack.properties(resource.logical_id)
        physical = stack.physical(resource.logical_id)
        code = stack.template.directory / properties["Code"]["S3Key"]
        memory = int(properties.get("MemorySize", 128))
        platform = {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties['Runtime']}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
            "AWS_LAMBDA_FUNCTION_NAME": physical.ref,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{physical.ref}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "LAMBDA_TASK_ROOT": str(code),
            "LANG": "en_US.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONUNBUFFERED": "1",
            "TZ": ":UTC",
            "_HANDLER": properties["Handler"],
        }
        own = {name: str(value) for name, value in properties.get("Environment", {}).get("Variables", {}).items()}
        yield FunctionConfig(
            logical_id=resource.logical_id,
            name=physical.ref,
            arn=physical.attributes["Arn"],
            code=code,
            handler=properties["Handler"],
            timeout=float(properties.get("Timeout", 3)),
            memory=memory,
            environment={**platform, **surroundings, **own, **overrides},
        )


def async_configs(stack: Stack) -> dict[str, AsyncConfig]:
    """Read the retries and failure destinations, by the function's logical id."""
    configs = {}
    for resource in stack.template.of_type("AWS::Lambda::EventInvokeConfig"):
        properties = stack.properties(resource.logical_id)
        destination = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        queue = None if destination is None else stack.physical(stack.find(QUEUE, destination)).ref
        retries = int(properties.get("MaximumRetryAttempts", 2))
        configs[stack.find(FUNCTION, properties["FunctionName"])] = AsyncConfig(retries, queue)
    return configs


def queue_mappings(stack: Stack, *, deliver_twice: bool) -> Iterator[QueueMapping]:
    """Read the event source mappings; every source has to be a queue of the template."""
    for resource in stack.template.of_type("AWS::Lambda::EventSourceMapping"):
        properties = stack.properties(resource.logical_id)
        queue = stack.physical(stack.find(QUEUE, properties["EventSourceArn"]))
        yield QueueMapping(
            queue_url=queue.ref,
            queue_arn=queue.attributes["Arn"],
            function=stack.find(FUNCTION, properties["FunctionName"]),
            batch_size=int(properties.get("BatchSize", 10)),
            reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
            deliver_twice=deliver_twice,
        )


def rules(stack: Stack) -> list[Rule]:
    """Read the EventBridge rules that match events."""
    found = []
    for name, properties in _rules_with(stack, "EventPattern"):
        for target in properties["Targets"]:
            function = stack.find(FUNCTION, target["Arn"])
            found.append(Rule(stack.physical(name).ref, properties["EventPattern"], function))
    return found


def schedules(stack: Stack) -> list[Schedule]:
    """Read the EventBridge rules that fire by the clock."""
    found = []
    for name, properties in _rules_with(stack, "ScheduleExpression"):
        for target in properties["Targets"]:
            event = json.loads(target["Input"]) if "Input" in target else None
            arn = stack.physical(name).attributes["Arn"]
            function = stack.find(FUNCTION, target["Arn"])
            found.append(Schedule(name, function, properties["ScheduleExpression"], arn, event))
    return found


def routes(stack: Stack) -> list[Route]:
    """Read the routes of the HTTP APIs."""
    found = []
    for resource in stack.template.of_type("AWS::ApiGatewayV2::Api"):
        for path, methods in stack.properties(resource.logical_id)["Body"]["paths"].items():
            for method, operation in methods.items():
                # arn:...:lambda:path/2015-03-31/functions/<the function's ARN>/invocations
                arn = operation["x-amazon-apigateway-integration"]["uri"].split("/functions/")[1].split("/")[0]
                name = "ANY" if method == _ANY_METHOD else method.upper()
                found.append(Route(name, path, stack.find(FUNCTION, arn)))
    return found


def dead_letter_queues(stack: Stack) -> list[str]:
    """Return the logical ids of the queues where messages end: redrive targets and failure destinations."""
    found = {config.on_failure_queue for config in async_configs(stack).values()}
    ids = {queue.logical_id for queue in stack.template.of_type(QUEUE) if stack.physical(queue.logical_id).ref in found}
    for queue in stack.template.of_type(QUEUE):
        redrive = stack.properties(queue.logical_id).get("RedrivePolicy")
        if redrive is not None:
            ids.add(stack.find(QUEUE, redrive["deadLetterTargetArn"]))
    return sorted(ids)


def _rules_with(stack: Stack, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in stack.template.of_type("AWS::Events::Rule"):
        properties = stack.properties(resource.logical_id)
        if key in properties and properties.get("State", "ENABLED") == "ENABLED":
            yield resource.logical_id, properties
