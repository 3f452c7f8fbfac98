"""Only what Yandex documents is asked of its AWS-compatible services.

The whole pipeline runs with boto3 as it is deployed, every call is recorded as it is made, and each is held against the
pages of the services: YDB's Document API (ydb/docapi/api-ref/actions: getItem, putItem, query, scan), Message Queue
(message-queue/api-ref/message/SendMessage) and Object Storage (storage/s3/api-ref/object/get). What is documented and
not needed is not let through either: indexes, conditions of the old kind, FIFO parameters.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import BotoCoreError, ClientError

from image_pipeline.app import app
from local.yandex import shapes
from tests.rig.aws import Aws
from tests.rig.deployed import MODULES, Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET, policy_json
from tests.rig.yandex import Context, ServiceCall, recorded_calls

NOW = datetime.now(UTC)
PARAMETERS = {
    ("dynamodb", "GetItem"): {"TableName", "Key", "ConsistentRead", "ExpressionAttributeNames", "ProjectionExpression"},
    ("dynamodb", "PutItem"): {
        *("TableName", "Item", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"),
        "ReturnValues",
    },
    ("dynamodb", "Query"): {
        *("TableName", "ConsistentRead", "ExclusiveStartKey", "ExpressionAttributeNames", "ExpressionAttributeValues"),
        *("FilterExpression", "KeyConditionExpression", "Limit", "ProjectionExpression", "ScanIndexForward", "Select"),
    },
    ("dynamodb", "Scan"): {
        *("TableName", "ConsistentRead", "ExclusiveStartKey", "ExpressionAttributeNames", "ExpressionAttributeValues"),
        *("FilterExpression", "Limit", "ProjectionExpression", "Select"),
    },
    ("sqs", "SendMessage"): {"QueueUrl", "MessageBody", "DelaySeconds"},
    ("s3", "GetObject"): {"Bucket", "Key"},
}
"""By service and operation."""

VALUES = {"ReturnValues": {"NONE", "ALL_OLD"}, "Select": {"ALL_ATTRIBUTES", "COUNT"}}
TYPES = {"B", "BOOL", "BS", "L", "M", "N", "NS", "NULL", "S", "SS"}
FUNCTIONS = {"attribute_exists", "attribute_not_exists", "attribute_type", "contains", "begins_with", "size"}
LONGEST_DELAY, LONGEST_BODY = 900, 256 * 1024
TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}(/[a-zA-Z0-9_.-]+)*")
KEY_CONDITION = re.compile(
    r"\w+ = :\w+( AND (\w+ (=|<|<=|>|>=) :\w+|\w+ BETWEEN :\w+ AND :\w+|begins_with ?\(\w+, :\w+\)))?"
)
TOKEN = re.compile(r"\s*(?:(?P<name>[:#]?\w+)|(?P<sign><>|<=|>=|=|<|>|\(|\)|,)|(?P<unknown>\S))")
NOT_IN_A_MESSAGE = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def undocumented(call: ServiceCall) -> list[str]:
    """Say what of a call no page of Yandex's documentation covers."""
    known = PARAMETERS.get((call.service, call.operation))
    if known is None:
        return [f"{call.service} {call.operation} is not used on Yandex Cloud"]
    faults = [f"parameter {name}" for name in call.parameters if name not in known]
    for name, value in call.parameters.items():
        if name in VALUES and value not in VALUES[name]:
            faults.append(f"{name} {value}")
        elif name in {"ConditionExpression", "FilterExpression"}:
            faults += _of_condition(value)
        elif name == "KeyConditionExpression" and not KEY_CONDITION.fullmatch(value):
            faults.append(f"key condition {value}")
        elif name in {"Item", "Key", "ExpressionAttributeValues", "ExclusiveStartKey"} and isinstance(value, dict):
            faults += _of_values(value)
        elif name == "TableName" and not TABLE_NAME.fullmatch(value):
            faults.append(f"table name {value}")
        elif name == "DelaySeconds" and not 0 <= value <= LONGEST_DELAY:
            faults.append(f"a delay of {value} s")
        elif name == "MessageBody" and (len(value.encode()) > LONGEST_BODY or NOT_IN_A_MESSAGE.search(value)):
            faults.append("a body that is too long, or holds characters that no message may hold")
    return [f"{call.operation}: {fault}" for fault in faults]


def _of_condition(expression: str) -> Iterator[str]:
    tokens = list(TOKEN.finditer(expression))
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token["unknown"]:
            yield f"{token['unknown']} in the condition {expression}"
        called = after is not None and after["sign"] == "("
        if called and token["name"] not in {*FUNCTIONS, "AND", "OR", "NOT", "IN", None}:
            yield f"the function {token['name']} in the condition {expression}"


def _of_values(values: dict[str, Any]) -> Iterator[str]:
    for value in values.values():
        [(kind, content)] = value.items()
        if kind not in TYPES:
            yield f"a value of type {kind}"
        if kind == "M":
            yield from _of_values(content)
        if kind == "L":
            yield from _of_values(dict(enumerate(content)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scene:
    """The functions, the bucket with their policy and a trail file, and three compute images."""

    functions: Deployed
    bucket: str

    def invoke(self, function: str, event: Any) -> Any:
        return importlib.import_module(MODULES[function]).handler(event, Context())

    def call(self, function: str, method: str, path: str, body: Any = None) -> Any:
        target, _, query = path.partition("?")
        event = {
            "httpMethod": method,
            "headers": {},
            "url": target,
            "multiValueQueryStringParameters": parse_qs(query),
            "body": json.dumps(body) if body else "",
        }
        answered = self.invoke(function, event)
        assert answered["statusCode"] < 300, answered
        return json.loads(answered["body"])

    def run(self, calls: list[ServiceCall]) -> None:
        """Copy, poll, sweep, list, pin, clean up: whatever reaches a service, by every way that leads there."""
        world = self.functions.world
        self.invoke("copy", shapes.object_created(self.bucket, "trail/1.json", NOW))
        for image in world.compute_images():
            world.set_compute_status(image.id, "READY")
        bodies = [call.parameters["MessageBody"] for call in calls if call.operation == "SendMessage"]
        messages = [{"MessageId": f"m{at}", "Body": body} for at, body in enumerate(bodies)]
        assert messages, "no copy has to wait, so nothing was sent"
        self.invoke("poll", shapes.queue("q", messages, NOW))
        for timed in ("copy", "cleanup"):
            self.invoke(timed, shapes.timer("a1s", "", NOW))
        [first, *_] = world.compute_images()
        self.call("copy", "POST", "/images:copy", {"imageId": first.id})
        page = self.call("poll", "GET", "/copies?pageSize=1")
        self.call("poll", "GET", f"/copies?pageToken={page['nextPageToken']}")
        self.call("poll", "GET", f"/copies?folderId={TARGET}&state=ACTIVE")
        self.call("poll", "GET", f"/copies/{TARGET}/{first.id}")
        for method in ("POST", "DELETE"):
            self.call("cleanup", method, f"/copies/{TARGET}/{first.id}/pin")
        for method in ("GET", "POST"):
            self.call("cleanup", method, "/cleanup")


@pytest.fixture(scope="module")
def scene(aws: Aws) -> Iterator[Scene]:
    bucket = aws.bucket()
    [route] = json.loads(policy_json())["routes"]
    policy = {
        "routes": [{**route, "retention": {"keep_last": 1, "min_age_days": 7, "max_deletions": 3}}],
        "cleanup": "apply",
    }
    aws.client("s3").put_object(Bucket=bucket, Key="policy.json", Body=json.dumps(policy).encode())
    with deployed(aws, platform="yandex", policy=f"s3://{bucket}/policy.json") as functions:
        world = functions.world
        images = [
            world.add_compute_image(folder_id=SOURCE, name=f"win11-{at}", family="win11-office", status=status)
            for at, status in enumerate(("READY", "CREATING", "READY"))
        ]
        records = [shapes.audit_record(image.id, NOW) for image in images[:2]]
        aws.client("s3").put_object(Bucket=bucket, Key="trail/1.json", Body=shapes.trail_file(records))
        labels = {"managed-by": "desktop-image-copy", "route": "office", "source-family": "win11-office"}
        for name in ("old", "older"):
            world.add_desktop_image(
                folder_id=TARGET,
                name=f"win11-{name}",
                created_at=NOW - timedelta(days=60),
                labels={**labels, "source-image": f"fd8{name}"},
            )
        yield Scene(functions, bucket)


def test_the_whole_pipeline_asks_only_what_is_documented(scene: Scene) -> None:
    headers: list[str] = []
    with recorded_calls("sns", "secretsmanager", "sts") as calls:
        app().client("s3").meta.events.register(
            "before-send.s3.*", lambda request, **_: headers.extend(request.headers)
        )
        scene.run(calls)

    assert [fault for call in calls for fault in undocumented(call)] == []
    # What nothing here used would not have been checked.
    assert {(call.service, call.operation) for call in calls} == PARAMETERS.keys()
    assert {call.parameters["ConditionExpression"] for call in calls if "ConditionExpression" in call.parameters} == {
        "attribute_not_exists(folder_id)",
        "version = :expected",
    }
    images = scene.functions.world.desktop_images(TARGET)
    assert Counter(image.status for image in images) == {"ACTIVE": 3}, "cleanup retired nothing, or a copy is missing"
    sent = {name.lower() for name in headers if name.lower().startswith("x-amz-")}
    assert sent <= {"x-amz-date", "x-amz-content-sha256"}, "a header that Object Storage does not document"


@pytest.fixture
def conflicts(scene: Scene) -> Iterator[list[int]]:
    """Refuse every PutItem with the conflict that its page tells of, while numbers are left in the list."""
    left: list[int] = []

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        if not left:
            return None
        left.pop()
        error = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "in progress"}
        raw = SimpleNamespace(stream=lambda: iter([json.dumps(error).encode()]))
        return AWSResponse(request.url, 400, HTTPHeaders(), raw)

    events = app().client("dynamodb").meta.events
    events.register("before-send.dynamodb.PutItem", refuse)
    yield left
    events.unregister("before-send.dynamodb.PutItem", refuse)


@pytest.mark.parametrize(("how_often", "stored"), [(3, True), (4, False)])
def test_a_write_that_met_another_is_repeated(
    scene: Scene, conflicts: list[int], monkeypatch: pytest.MonkeyPatch, how_often: int, *, stored: bool
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append))
    ledger = app().adapters.ledger
    conflicts.extend(range(how_often))

    if stored:
        ledger.keep_run({"kept": how_often}, NOW + timedelta(days=365))
        assert ledger.runs(1) == [{"kept": how_often}]
    else:
        with pytest.raises(ClientError, match="TransactionConflictException"):
            ledger.keep_run({"kept": how_often}, NOW)
    assert pauses == pytest.approx([0.1, 0.2, 0.3])


PUT = {"TableName": "copies", "Item": {"folder_id": {"S": "b1g"}, "image_id": {"S": "fd8"}}}
KEY = {"TableName": "copies", "Key": {"folder_id": {"S": "b1g"}, "image_id": {"S": "fd8"}}}
FOLDER = {":f": {"S": "b1g"}}
QUERY = {"TableName": "copies", "KeyConditionExpression": "folder_id = :f", "ExpressionAttributeValues": FOLDER}
SEND = {"QueueUrl": "http://127.0.0.1:1/queue", "MessageBody": "{}"}
PLANTED: list[tuple[str, str, dict[str, Any], str]] = [
    ("dynamodb", "update_item", {**KEY, "UpdateExpression": "SET a = :f"}, "UpdateItem is not used"),
    ("dynamodb", "delete_item", KEY, "DeleteItem is not used"),
    ("dynamodb", "transact_write_items", {"TransactItems": []}, "TransactWriteItems is not used"),
    ("dynamodb", "put_item", {**PUT, "ReturnValues": "ALL_NEW"}, "ReturnValues ALL_NEW"),
    ("dynamodb", "put_item", {**PUT, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}, "parameter ReturnValuesOnC"),
    ("dynamodb", "put_item", {**PUT, "ConditionExpression": "if_not_exists(a, :f) = :f"}, "function if_not_exists"),
    ("dynamodb", "put_item", {**PUT, "ConditionExpression": "a = :f + 1"}, r"\+ in the condition"),
    ("dynamodb", "put_item", {**PUT, "Expected": {}}, "parameter Expected"),
    ("dynamodb", "get_item", {**KEY, "AttributesToGet": ["a"]}, "parameter AttributesToGet"),
    ("dynamodb", "query", {**QUERY, "IndexName": "by_state"}, "parameter IndexName"),
    ("dynamodb", "query", {**QUERY, "Select": "ALL_PROJECTED_ATTRIBUTES"}, "Select ALL_PROJECTED"),
    ("dynamodb", "query", {**QUERY, "KeyConditionExpression": "folder_id > :f"}, "key condition folder_id >"),
    ("dynamodb", "scan", {"TableName": "copies", "Segment": 0}, "parameter Segment"),
    ("dynamodb", "scan", {"TableName": "arn:aws:dynamodb:eu-central-1:1:table/c"}, "table name arn"),
    ("sqs", "send_message_batch", {"QueueUrl": SEND["QueueUrl"], "Entries": []}, "SendMessageBatch is not used"),
    ("sqs", "send_message", {**SEND, "MessageGroupId": "g"}, "parameter MessageGroupId"),
    ("sqs", "send_message", {**SEND, "DelaySeconds": 901}, "a delay of 901 s"),
    ("sqs", "send_message", {**SEND, "MessageBody": "x" * (LONGEST_BODY + 1)}, "a body that is too long"),
    ("sqs", "send_message", {**SEND, "MessageBody": "\x00"}, "a body that is too long, or holds characters"),
    ("s3", "put_object", {"Bucket": "b", "Key": "k"}, "s3 PutObject is not used"),
    ("s3", "get_object", {"Bucket": "b", "Key": "k", "ChecksumMode": "ENABLED"}, "parameter ChecksumMode"),
    ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": "m"}, "sns Publish is not used"),
]


@pytest.mark.parametrize(("service", "method", "parameters", "fault"), PLANTED, ids=[plant[3] for plant in PLANTED])
def test_a_call_that_is_not_documented_is_found(
    scene: Scene, service: str, method: str, parameters: dict[str, Any], fault: str
) -> None:
    with recorded_calls("sns") as calls, suppress(ClientError, BotoCoreError):
        getattr(app().client(service), method)(**parameters)

    [planted] = calls
    [found] = undocumented(planted)
    assert re.search(fault, found)


@pytest.mark.parametrize(
    "condition",
    [
        "attribute_exists(a) AND NOT (b <> :b OR size(c) >= :c)",
        "a BETWEEN :a AND :b",
        "a IN (:a, :b) AND begins_with(#n, :c) AND contains(d, :d) AND attribute_type(e, :e)",
    ],
)
def test_every_documented_condition_is_let_through(condition: str) -> None:
    assert list(_of_condition(condition)) == []
