"""What the deployment consists of, and the numbers that must fit each other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.host import Template
from tests.template.conftest import ROOT, expand, resolved

FUNCTIONS = {"CopyOnNewComputeImageFunction": 300, "PollOperationFunction": 60, "CleanupFunction": 120}

# design.md, section 5. YC_TOKEN and YC_SERVICE_ACCOUNT_KEY_FILE are not set by this deployment: they would be secrets
# in plain sight of whoever may read the function's configuration.
ENVIRONMENT = {
    "YC_REGION": "kz1",
    "YC_CLOUD_DESKTOP_URL": "",
    "YC_COMPUTE_URL": "",
    "YC_OPERATION_URL": "",
    "YC_IAM_URL": "",
    "YC_TOKEN_EXCHANGE_URL": "",
    "YC_QUOTA_URL": "",
    "YC_SERVICE_ACCOUNT_KEY_SECRET": "yandex/key",
    "YC_SERVICE_ACCOUNT_ID": "",
    "POLL_QUEUE_URL": "<PollQueue>",
    "COPIES_TABLE": "<CopiesTable>",
    "IMAGE_POLICY": '{"routes": []}',
    "NOTIFY_TOPIC_ARN": "<NoticeTopic>",
    "NOTIFY_WEBHOOK_URL": "",
    "POWERTOOLS_SERVICE_NAME": "desktop-images",
    "POWERTOOLS_METRICS_NAMESPACE": "DesktopImages",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}

METRICS = {
    "CopiesActive",
    "CopiesFailed",
    "CopiesLost",
    "CopiesRetired",
    "CopiesTimedOut",
    "OldestPendingCopySeconds",
    "SweepSelectedNothing",
    "Throttled",
}

ROUTES = {
    "POST /images:copy": "CopyOnNewComputeImageFunction",
    "POST /sweep": "CopyOnNewComputeImageFunction",
    "GET /copies": "PollOperationFunction",
    "GET /copies/{folderId}/{imageId}": "PollOperationFunction",
    "GET /operations/{operationId}": "PollOperationFunction",
    "GET /cleanup": "CleanupFunction",
    "POST /cleanup": "CleanupFunction",
    "POST /copies/{folderId}/{imageId}/pin": "CleanupFunction",
    "DELETE /copies/{folderId}/{imageId}/pin": "CleanupFunction",
}


def functions(template: Template) -> dict[str, dict[str, Any]]:
    return resolved(template, "AWS::Lambda::Function")


def queues(template: Template) -> dict[str, dict[str, Any]]:
    return resolved(template, "AWS::SQS::Queue")


def test_each_function_has_its_time_runtime_and_layer(template: Template) -> None:
    assert {name: function["Timeout"] for name, function in functions(template).items()} == FUNCTIONS
    for function in functions(template).values():
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert len(function["Layers"]) == 1
        assert function["Layers"][0].startswith("<DesktopImagesLayer")


def test_each_handler_lies_where_the_template_says(template: Template) -> None:
    for function in functions(template).values():
        module, name = function["Handler"].split(".")
        assert name == "handler"
        assert (ROOT / function["Code"]["S3Key"] / f"{module}.py").is_file()


def test_each_function_has_the_documented_environment(template: Template) -> None:
    for function in functions(template).values():
        assert function["Environment"]["Variables"] == ENVIRONMENT


def test_the_layer_is_built_by_a_target_that_exists(source: dict[str, Any]) -> None:
    layer = source["Resources"]["DesktopImagesLayer"]
    assert layer["Metadata"] == {"BuildMethod": "makefile", "BuildArchitecture": "arm64"}
    makefile = (ROOT / layer["Properties"]["ContentUri"] / "Makefile").read_text()
    assert "\nbuild-DesktopImagesLayer:\n" in makefile


def test_only_the_poll_may_feed_its_own_queue(template: Template) -> None:
    allowed = {name: function.get("RecursiveLoop") for name, function in functions(template).items()}
    assert allowed == {
        "PollOperationFunction": "Allow",
        "CopyOnNewComputeImageFunction": None,
        "CleanupFunction": None,
    }


def test_queue_arithmetic_holds(template: Template) -> None:
    (mapping,) = resolved(template, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == "<PollQueue.Arn>"
    assert mapping["FunctionName"] == "<PollOperationFunction>"
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    source = queues(template)["PollQueue"]
    dead = queues(template)["PollDeadLetterQueue"]
    receives = source["RedrivePolicy"]["maxReceiveCount"]
    assert source["VisibilityTimeout"] >= 6 * FUNCTIONS["PollOperationFunction"]
    assert source["MessageRetentionPeriod"] > source["VisibilityTimeout"] * receives
    # A wake-up sleeps for up to 900 s before its first receive.
    assert source["MessageRetentionPeriod"] > 900 + source["VisibilityTimeout"] * receives
    assert dead["MessageRetentionPeriod"] >= source["MessageRetentionPeriod"]
    assert source["RedrivePolicy"]["deadLetterTargetArn"] == "<PollDeadLetterQueue.Arn>"
    assert receives >= 5


def test_dead_letter_queues_take_from_their_own_source_only(template: Template) -> None:
    source = queues(template)["PollQueue"]
    assert queues(template)["PollDeadLetterQueue"]["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [f"arn:aws:sqs:eu-central-1:123456789012:{source['QueueName']}"],
    }
    assert queues(template)["EventsDeadLetterQueue"]["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}


def test_failed_events_end_in_their_queue(template: Template) -> None:
    configs = resolved(template, "AWS::Lambda::EventInvokeConfig")
    assert {config["FunctionName"] for config in configs.values()} == {
        "<CopyOnNewComputeImageFunction>",
        "<CleanupFunction>",
    }
    for config in configs.values():
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == "<EventsDeadLetterQueue.Arn>"
        assert config["MaximumRetryAttempts"] == 2
        assert 60 <= config["MaximumEventAgeInSeconds"] <= 21_600


def test_what_is_stored_is_encrypted_and_not_public(template: Template) -> None:
    assert all(queue["SqsManagedSseEnabled"] for queue in queues(template).values())
    (table,) = resolved(template, "AWS::DynamoDB::Table").values()
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    (bucket,) = resolved(template, "AWS::S3::Bucket").values()
    assert bucket["BucketEncryption"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 30


def test_the_ledger_is_keyed_by_the_pair_and_survives_the_stack(template: Template, source: dict[str, Any]) -> None:
    (table,) = resolved(template, "AWS::DynamoDB::Table").values()
    keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
    assert keys == {"HASH": "folder_id", "RANGE": "image_id"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert source["Resources"]["CopiesTable"]["DeletionPolicy"] == "Retain"


def test_events_reach_the_copy_function(template: Template) -> None:
    rules = resolved(template, "AWS::Events::Rule")
    patterns = {name: rule["EventPattern"] for name, rule in rules.items() if "EventPattern" in rule}
    assert patterns == {
        "CopyOnNewComputeImageFunctionTrailObject": {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": ["<TrailBucket>"]}},
        },
        "CopyOnNewComputeImageFunctionAuditRecord": {
            "detail": {
                "$or": [
                    {"event_type": ["yandex.cloud.audit.compute.CreateImage"]},
                    {"eventType": ["yandex.cloud.audit.compute.CreateImage"]},
                ]
            }
        },
    }
    for name in patterns:
        assert [target["Arn"] for target in rules[name]["Targets"]] == ["<CopyOnNewComputeImageFunction.Arn>"]
    (bucket,) = resolved(template, "AWS::S3::Bucket").values()
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def test_schedules_name_their_intent(template: Template) -> None:
    rules = resolved(template, "AWS::Events::Rule")
    fired = {
        name: (rule["ScheduleExpression"], json.loads(rule["Targets"][0]["Input"]), rule["Targets"][0]["Arn"])
        for name, rule in rules.items()
        if "ScheduleExpression" in rule
    }
    assert fired == {
        "CopyOnNewComputeImageFunctionSweep": (
            "rate(15 minutes)",
            {"source": "schedule", "action": "sweep"},
            "<CopyOnNewComputeImageFunction.Arn>",
        ),
        "CleanupFunctionCleanup": (
            "rate(1 day)",
            {"source": "schedule", "action": "cleanup"},
            "<CleanupFunction.Arn>",
        ),
    }


def test_the_http_api_has_the_documented_routes_and_each_is_signed(template: Template) -> None:
    (api,) = resolved(template, "AWS::ApiGatewayV2::Api").values()
    routes = {}
    for path, methods in api["Body"]["paths"].items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            assert operation["security"] == [{"AWS_IAM": []}]
            assert integration["payloadFormatVersion"] == "2.0"
            routes[f"{method.upper()} {path}"] = re.findall(r"<(\w+)\.Arn>", integration["uri"])[0]
    assert routes == ROUTES
    scheme = api["Body"]["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_alarms_watch_outcomes_and_tell_somebody(template: Template) -> None:
    alarms = resolved(template, "AWS::CloudWatch::Alarm")
    watched = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms.values()}
    assert watched == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("DesktopImages", "OldestPendingCopySeconds"),
        ("DesktopImages", "CopiesFailed"),
        ("DesktopImages", "CopiesTimedOut"),
        ("DesktopImages", "CopiesLost"),
        ("DesktopImages", "PolicyRejected"),
        ("DesktopImages", "SweepSelectedNothing"),
        ("DesktopImages", "SweepSelected"),
    }
    depths = {
        alarm["Dimensions"][0]["Value"] for alarm in alarms.values() if alarm["MetricName"].startswith("Approximate")
    }
    assert depths == {"<PollDeadLetterQueue.QueueName>", "<EventsDeadLetterQueue.QueueName>"}
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == ["<NoticeTopic>"]
        assert alarm["AlarmDescription"]
        # Longer than a day CloudWatch refuses.
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 86_400
        if alarm["Namespace"] == "DesktopImages":
            assert alarm["Dimensions"] == [{"Name": "service", "Value": ENVIRONMENT["POWERTOOLS_SERVICE_NAME"]}]


def test_silence_is_an_alarm_only_where_something_must_report(template: Template) -> None:
    alarms = resolved(template, "AWS::CloudWatch::Alarm")
    silent = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert silent == {"SweepSilentAlarm"}
    assert {alarm["TreatMissingData"] for alarm in alarms.values()} == {"breaching", "notBreaching"}


def test_the_dashboard_shows_metrics_that_exist(template: Template) -> None:
    (dashboard,) = resolved(template, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["DashboardBody"])
    metrics = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    ours = {name for namespace, name, *_ in metrics if namespace == ENVIRONMENT["POWERTOOLS_METRICS_NAMESPACE"]}
    assert ours == METRICS
    assert all(metric[2:] == ["service", "desktop-images"] for metric in metrics if metric[0] == "DesktopImages")


def test_logs_do_not_stay_for_ever(template: Template) -> None:
    groups = resolved(template, "AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] <= 90 for group in groups.values())
    used = {function["LoggingConfig"]["LogGroup"] for function in functions(template).values()}
    assert used == {"<CopyLogGroup>", "<PollLogGroup>", "<CleanupLogGroup>"}


def test_somebody_is_subscribed_only_when_an_address_is_given(template: Template) -> None:
    assert resolved(template, "AWS::SNS::Subscription") == {}
    told = expand({"ImagePolicy": "{}", "ServiceAccountId": "aje1", "NotifyEmail": "ops@example.com"})
    (subscription,) = resolved(told, "AWS::SNS::Subscription").values()
    assert subscription == {"TopicArn": "<NoticeTopic>", "Protocol": "email", "Endpoint": "ops@example.com"}


def test_each_parameter_is_described_and_bounded(source: dict[str, Any]) -> None:
    for name, parameter in source["Parameters"].items():
        assert parameter["Description"], name
        assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name
        assert "AllowedPattern" not in parameter or parameter["ConstraintDescription"].startswith("must be"), name
    grouped = [
        name
        for group in source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(source["Parameters"])
    assert source["Parameters"]["NotifyWebhookUrl"]["NoEcho"] is True


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("ImagePolicy", '{\n  "routes": []\n}', True),
        ("ImagePolicy", "s3://bucket-1/a/b.json", True),
        ("ImagePolicy", "https://example.com/policy.json", False),
        ("ImagePolicy", "s3://bucket-1", False),
        ("ServiceAccountKeySecret", "team/yandex_key", True),
        ("ServiceAccountKeySecret", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:yandex-AbC123", True),
        ("ServiceAccountKeySecret", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:yandex", False),
        ("ServiceAccountKeySecret", "*", False),
        ("CloudDesktopUrl", "https://desktops.example.com:8443", True),
        ("CloudDesktopUrl", "https://desktops.example.com/v1", False),
        ("SweepSchedule", "cron(0/5 * * * ? *)", True),
        ("SweepSchedule", "hourly", False),
        ("NotifyWebhookUrl", "ftp://example.com", False),
        ("YcRegion", "ru-central2", False),
    ],
)
def test_parameters_refuse_what_cannot_work(source: dict[str, Any], name: str, value: str, *, accepted: bool) -> None:
    declaration = source["Parameters"][name]
    if "AllowedValues" in declaration:
        assert (value in declaration["AllowedValues"]) is accepted
    else:
        assert bool(re.fullmatch(declaration["AllowedPattern"], value)) is accepted
