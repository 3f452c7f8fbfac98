"""What deploy/yandex sets: numbers that must fit each other, roles, variables of the functions, ways in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from cloud_desktop.endpoints import REGIONS, Endpoints
from image_pipeline.events import TimerFired, read_event
from image_pipeline.settings import VARIABLES, read_settings
from tests.deploy.configuration import Configuration, expression, strings, unquoted
from tests.deploy.conftest import ROOT, install_little

LIMIT_OF_ENVIRONMENT = 4096  # bytes of all names and values, secrets included (functions-limits.md)
POLL_QUEUE_URL = (
    "https://message-queue.api.cloud.yandex.net/b1g0cloud0000000000/dj600000000000000abc/desktop-images-poll"
)
DOCUMENT_API = "https://docapi.serverless.yandexcloud.net/ru-central1/b1g0cloud0000000000/etn0database00000000"

# What each expression of local.environment gives in a deployment to ru-central1, with the longest name that is allowed.
GIVEN = {
    '"yandex"': "yandex",
    "${local.desktop_region}": "ru-central1",
    "${local.endpoints.signed}": "ru-central1",
    "${var.name}": "d" * 30,
    "${var.log_level}": "WARNING",
    "${yandex_message_queue.poll.id}": POLL_QUEUE_URL,
    '${regex("^https?://[^/]+", yandex_message_queue.poll.id)}': "https://message-queue.api.cloud.yandex.net",
    "${aws_dynamodb_table.copies.name}": "copies",
    '"s3://${yandex_storage_object.policy.bucket}/${yandex_storage_object.policy.key}"': (
        f"s3://{'d' * 30}-b1g0folder000000000/policy.json"
    ),
    "${yandex_ydb_database_serverless.ledger.document_api_endpoint}": DOCUMENT_API,
    '${startswith(local.endpoints.storage, "https://") ? local.endpoints.storage '
    ': "https://${local.endpoints.storage}"}': "https://storage.yandexcloud.net",
}
# Settings that this deployment leaves alone, and why.
ABSENT = {
    "YC_TOKEN": "lives for hours",
    "YC_SERVICE_ACCOUNT_KEY_SECRET": "AWS alone",
    "YC_SERVICE_ACCOUNT_ID": "AWS alone",
    "YC_TOKEN_EXCHANGE_URL": "belongs to YC_SERVICE_ACCOUNT_ID",
    "YC_METADATA_ADDR": "the metadata service is where it always is",
    "NOTIFY_TOPIC_ARN": "AWS alone",
    "POWERTOOLS_METRICS_NAMESPACE": "metrics are log lines here",
}
# One of RSA_4096 does not fit beside the rest; docs/deploy-yandex.md says so.
AUTHORIZED_KEY = json.dumps(
    {
        "id": "ajek0000000000000000",
        "service_account_id": "aje00000000000000000",
        "created_at": "2026-01-01T00:00:00.123456789Z",
        "key_algorithm": "RSA_2048",
        "public_key": "-----BEGIN PUBLIC KEY-----\n" + "p\n" * 212 + "-----END PUBLIC KEY-----\n",
        "private_key": "PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <ajek0000000000000000>\n"
        "-----BEGIN PRIVATE KEY-----\n" + ("k" * 64 + "\n") * 26 + "-----END PRIVATE KEY-----\n",
    }
)

ROLES = {
    ("desktop_images", "var.desktop_role", "functions", "local.target_folders"),
    ("see_compute_images", "compute.auditor", "functions", "local.source_folders"),
    ("use_compute_images", "compute.images.user", "functions", "local.source_folders"),
    ("see_quotas", "quota-manager.viewer", "functions", "local.quota_clouds"),
    ("read", "storage.viewer", "data functions", "yandex_storage_bucket.code"),
    ("read_static_key", "lockbox.payloadViewer", "functions", "yandex_lockbox_secret.static_key"),
    ("read_secret", "lockbox.payloadViewer", "functions", "var.secrets"),
    ("send_wake_ups", "ymq.writer", "data", "var.folder_id"),
    ("keep_ledger", "ydb.editor", "data", "yandex_ydb_database_serverless.ledger"),
    ("triggered", "functions.functionInvoker", "triggers", "yandex_function.this"),
    ("called", "functions.functionInvoker", "var.callers", "yandex_function.this"),
    ("receive_wake_ups", "ymq.reader", "triggers", "var.folder_id"),
    ("keep_failed_events", "ymq.writer", "triggers", "var.folder_id"),
    ("read_trail_log", "logging.reader", "triggers", "var.folder_id"),
    ("read_audit_records", "audit-trails.viewer", "trail", "local.source_folders"),
    ("write_trail_log", "logging.writer", "trail", "var.folder_id"),
}


def names_in(configuration: Configuration, variable: str, pattern: str) -> set[str]:
    """Return the names that a variable's validation lets through."""
    conditions = [str(rule["condition"]) for rule in configuration.variables[variable]["validation"]]
    return set(re.findall(pattern, " ".join(conditions)))


@pytest.fixture
def environment(configuration: Configuration) -> dict[str, str]:
    """Every variable that a function can get, with values as long as they come."""
    given = {name: GIVEN[value] for name, value in configuration.locals["environment"].items()}
    given |= {"AWS_ACCESS_KEY_ID": "YCA" + "i" * 22, "AWS_SECRET_ACCESS_KEY": "YC" + "s" * 38}
    given |= dict.fromkeys(
        names_in(configuration, "api_origins", r"YC_\w+"), "https://quota-manager.api.yandexcloud.kz"
    )
    secrets = {
        "NOTIFY_WEBHOOK_URL": "https://chat.example/hooks/" + "w" * 80,
        "YC_SERVICE_ACCOUNT_KEY_FILE": AUTHORIZED_KEY,
    }
    assert names_in(configuration, "secrets", r'"([A-Z_]{5,})"') == set(secrets)
    return given | secrets


def test_every_function_gets_what_its_settings_need_and_nothing_unknown(
    configuration: Configuration, environment: dict[str, str]
) -> None:
    assert set(configuration.locals["static_key"]) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    (function,) = configuration.of_type("yandex_function").values()
    assert function["environment"] == "${merge(local.environment, var.api_origins)}"
    ((made,),) = [list(block.values())[:1] for block in function["dynamic"]]
    assert made["for_each"] == "${merge(local.static_key, var.secrets)}"
    endpoints = {"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"}  # told of in the entry of AWS_ENDPOINT_URL_SQS
    assert set(environment) - endpoints <= set(VARIABLES)
    assert set(VARIABLES) - set(environment) == set(ABSENT)
    settings = read_settings(environment)
    assert (settings.platform, settings.copies_table) == ("yandex", "copies")
    assert Endpoints.from_environment(environment).iam == "https://quota-manager.api.yandexcloud.kz"


def test_the_environment_fits(environment: dict[str, str]) -> None:
    assert len(AUTHORIZED_KEY) > 2400  # as long as a real one
    assert sum(len(name) + len(value.encode()) for name, value in environment.items()) <= LIMIT_OF_ENVIRONMENT


def test_the_regions_are_those_of_the_client(configuration: Configuration) -> None:
    regions = configuration.locals["regions"]
    assert set(regions) == set(REGIONS) == names_in(configuration, "region", r'"([a-z0-9-]+)"')
    for region, endpoints in regions.items():
        root = unquoted(endpoints["api"]).removesuffix(":443")
        assert REGIONS[region].compute == f"https://compute.{root}"
        assert unquoted(endpoints["queue"]) == f"message-queue.{root}"
    assert unquoted(regions["kz1"]["functions"]) == ""  # not documented, so not guessed


def test_the_functions_have_the_time_and_memory_that_they_have_on_aws(configuration: Configuration) -> None:
    functions = configuration.locals["functions"]
    assert set(functions) == set(aws_functions())
    for name, properties in aws_functions().items():
        assert (functions[name]["timeout"], functions[name]["memory"]) == (
            properties["Timeout"],
            properties["MemorySize"],
        )
        assert functions[name]["memory"] % 128 == 0
        assert functions[name]["timeout"] <= 600  # more is for long-lived functions alone
        assert unquoted(functions[name]["description"]) == properties["Description"]


def aws_functions() -> dict[str, dict[str, Any]]:
    resources = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].values()
    return {
        Path(resource["Properties"]["CodeUri"]).name: resource["Properties"]
        for resource in resources
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_the_manifest_gives_what_is_read_of_it(
    configuration: Configuration, package: ModuleType, tmp_path: Path
) -> None:
    package.build_yandex(tmp_path, package.YANDEX, install_little)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    code = " ".join(code for _, code in configuration.expressions())
    uploaded = str(configuration.of_type("yandex_storage_object")["package"])
    assert set(re.findall(r"local\.manifest\.(\w+)", code)) <= set(manifest)
    read = set(re.findall(r"manifest\.functions\[each\.key\]\.(\w+)", code)) | set(
        re.findall(r"each\.value\.(\w+)", uploaded)
    )
    assert {"sha256", "entryPoint", "file"} == read <= set(manifest["functions"]["cleanup"])
    assert set(manifest["functions"]) == set(configuration.locals["functions"])


def test_new_code_makes_a_new_version(configuration: Configuration) -> None:
    function = configuration.of_type("yandex_function")["this"]
    objects = configuration.of_type("yandex_storage_object")
    assert function["user_hash"] == "${local.manifest.functions[each.key].sha256}"
    assert "${each.value.sha256}" in objects["package"]["key"]
    assert "filesha256" in str(objects["package"]["lifecycle"])  # the manifest is the one of these archives
    assert "self.version" in str(function["lifecycle"])  # a version that could not be made is only a warning otherwise
    assert "${" not in objects["policy"]["key"]  # a new policy is no new version


def test_queue_arithmetic_holds(configuration: Configuration) -> None:
    queues = configuration.of_type("yandex_message_queue")
    poll, given_up = queues["poll"], queues["poll_dead_letters"]
    receives = re.search(r"maxReceiveCount = (\d+)", poll["redrive_policy"])
    assert receives is not None
    assert "yandex_message_queue.poll_dead_letters.arn" in poll["redrive_policy"]
    visibility, retention = poll["visibility_timeout_seconds"], poll["message_retention_seconds"]
    assert visibility >= 6 * configuration.locals["functions"]["poll-operation"]["timeout"]
    assert retention > visibility * int(receives[1])
    assert given_up["message_retention_seconds"] >= retention
    assert all(queue["message_retention_seconds"] <= 1209600 for queue in queues.values())
    assert all(queue["region_id"] == "${local.endpoints.signed}" for queue in queues.values())
    assert all(not {"access_key", "secret_key"} & set(queue) for queue in queues.values())


def test_the_table_is_the_ledgers(configuration: Configuration) -> None:
    table = configuration.of_type("aws_dynamodb_table")["copies"]
    assert (unquoted(table["hash_key"]), unquoted(table["range_key"])) == ("folder_id", "image_id")
    assert {(unquoted(a["name"]), unquoted(a["type"])) for a in table["attribute"]} == {
        ("folder_id", "S"),
        ("image_id", "S"),
    }
    assert unquoted(table["billing_mode"]) == "PAY_PER_REQUEST"
    assert table["lifecycle"][0]["prevent_destroy"] is True
    aws = configuration.providers["aws"]
    assert aws["endpoints"][0]["dynamodb"] == "${yandex_ydb_database_serverless.ledger.document_api_endpoint}"
    skipped = {name for name, value in aws.items() if name.startswith("skip_") and value is True}
    assert skipped == {
        "skip_credentials_validation",
        "skip_metadata_api_check",
        "skip_region_validation",
        "skip_requesting_account_id",
    }


def test_each_role_is_granted_to_one_account_for_one_purpose(configuration: Configuration) -> None:
    found = set()
    for resource in configuration.resources.values():
        if "_iam_member" in resource.type or "_iam_binding" in resource.type:
            body = resource.body
            members = " ".join(strings([body.get("member"), body.get("members")]))
            accounts = sorted(set(re.findall(r"service_account\.(\w+)", members))) or ["var.callers"]
            on = next(body[name] for name in SCOPES if name in body)
            code = expression(body["for_each"] if on == "${each.value}" else on)
            what = re.search(r"local\.\w+", code) or re.search(r"(var|yandex_\w+)\.\w+", code)
            assert what is not None, resource.address
            role = unquoted(body["role"]).removeprefix("${").removesuffix("}")
            found.add((resource.name, role, " ".join(accounts), what[0]))
    assert found == ROLES


SCOPES = ("folder_id", "cloud_id", "bucket", "secret_id", "database_id", "function_id")


def test_nobody_is_everybody(configuration: Configuration) -> None:
    code = " ".join(text for resource in configuration.resources.values() for text in strings(resource.body))
    assert not re.search(r"system:|allUsers|allAuthenticatedUsers|anonymous|public-read", code)
    # The primitive roles reach every service in a folder; only those named in ROLES may be granted.
    assert not re.search(r'"(viewer|editor|admin|auditor)"', code)
    assert names_in(configuration, "callers", r"\^\(([a-zA-Z|]+)\)") == {
        "userAccount|federatedUser|serviceAccount|group"
    }
    assert configuration.variables["callers"]["default"] == []


def test_no_secret_is_written_down(configuration: Configuration) -> None:
    for path in [*configuration.files, *configuration.files[0].parent.glob("*.example")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"PRIVATE KEY|\bYC[A-Z]?[A-Za-z0-9-]{22,}|\bt1\.[A-Za-z0-9_-]+\.|AKIA|AQVN", text), (
            path.name
        )
    for name in ("deploy_key_id", "deploy_key_secret"):
        assert configuration.variables[name]["ephemeral"] is True
        users = [where for where, code in configuration.expressions() if f"var.{name}" in code]
        assert set(users) == {"versions.tf provider"}
    key = configuration.of_type("yandex_iam_service_account_static_access_key")["data"]
    assert set(key["output_to_lockbox"][0]) >= {"entry_for_access_key", "entry_for_secret_key"}
    assert "secret_key" not in " ".join(re.findall(r"static_access_key\.data\.\w+", str(configuration.locals)))


def test_each_timer_calls_its_own_function(configuration: Configuration) -> None:
    triggers = configuration.of_type("yandex_function_trigger")
    timers = {name: body for name, body in triggers.items() if "timer" in body}
    called = {name: re.findall(r'this\["([\w-]+)"\]', body["function"][0]["id"]) for name, body in timers.items()}
    assert called == {"sweep": ["copy-on-new-compute-image"], "cleanup": ["cleanup"]}
    payloads = {name: body["timer"][0]["payload"] for name, body in timers.items()}
    for name, payload in payloads.items():
        fields = dict(re.findall(r'(\w+) = "(\w+)"', payload))
        assert fields == {"source": "schedule", "action": name}
        message = {
            "event_metadata": {"event_type": "yandex.cloud.events.serverless.triggers.TimerMessage"},
            "details": {"trigger_id": "a1s", "payload": json.dumps(fields)},
        }
        assert read_event({"messages": [message]}).intents == (TimerFired(),)


def test_what_fails_is_kept_and_batches_are_single(configuration: Configuration) -> None:
    for name, body in configuration.of_type("yandex_function_trigger").items():
        function = body["function"][0]
        assert function["service_account_id"] == "${yandex_iam_service_account.triggers.id}"
        if "message_queue" in body:
            # The provider refuses retries and dead letters for a queue: its redrive policy is for that.
            assert not {"dlq"} & set(body)
            assert not {"retry_attempts", "retry_interval"} & set(function)
            source = body["message_queue"][0]
            assert unquoted(source["batch_size"]) == "1"
            assert source["queue_id"] == "${yandex_message_queue.poll.arn}"
        else:
            assert 1 <= int(unquoted(function["retry_attempts"])) <= 5, name
            assert 10 <= int(unquoted(function["retry_interval"])) <= 60
            assert body["dlq"][0]["queue_id"] == "${yandex_message_queue.events_dead_letters.arn}"
        assert "${yandex_function_iam_member.triggered}" in body["depends_on"]


def test_the_trail_does_not_feed_on_the_functions_logs(configuration: Configuration) -> None:
    function = configuration.of_type("yandex_function")["this"]
    trail = configuration.of_type("yandex_audit_trails_trail")["images"]
    trigger = configuration.of_type("yandex_function_trigger")["new_image"]
    assert function["log_options"][0]["log_group_id"] == "${yandex_logging_group.functions.id}"
    read = trigger["logging"][0]["group_id"]
    assert read == trail["logging_destination"][0]["log_group_id"] == "${yandex_logging_group.trail[0].id}"


def test_the_gateway_lets_through_and_opens_nothing(configuration: Configuration) -> None:
    (gateway,) = configuration.of_type("yandex_api_gateway").values()
    assert "service_account" not in gateway["spec"]
    assert "cloud_functions" not in gateway["spec"]  # would call with rights of its own
    assert re.search(r'type = "http"', gateway["spec"])
    assert re.search(r'headers = {"\*" = "\*"', gateway["spec"])  # the caller's Authorization among them
    assert 'local.endpoints.functions != ""' in gateway["count"]


def test_the_routes_are_those_of_the_template(configuration: Configuration) -> None:
    here = {
        (method, path, unquoted(function))
        for path, methods in configuration.locals["routes"].items()
        for method, function in methods.items()
    }
    there = {
        (event["Properties"]["Method"].lower(), event["Properties"]["Path"], name)
        for name, properties in aws_functions().items()
        for event in properties["Events"].values()
        if event["Type"] == "HttpApi"
    }
    assert here == there
