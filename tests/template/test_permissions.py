"""Who may do what: exact lists, so that a new permission is a decision somebody sees."""

from __future__ import annotations

from typing import Any

from local.host import Template
from tests.template.conftest import KEYLESS_PARAMETERS, expand, resolved

LEDGER = {
    ("dynamodb:GetItem", "<CopiesTable.Arn>"),
    ("dynamodb:PutItem", "<CopiesTable.Arn>"),
    ("dynamodb:Query", "<CopiesTable.Arn>"),
    ("dynamodb:Scan", "<CopiesTable.Arn>"),
}
WAKE_UP = {("sqs:SendMessage", "<PollQueue.Arn>")}
NOTICE = {("sns:Publish", "<NoticeTopic>")}
FAILED_EVENT = {("sqs:SendMessage", "<EventsDeadLetterQueue.Arn>")}
# What the functions ask for: one audience, the algorithm any verifier takes, and no longer than they need it.
WEB_IDENTITY_LIMITS = {
    "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": KEYLESS_PARAMETERS["ServiceAccountId"]},
    "StringEquals": {"sts:SigningAlgorithm": "RS256"},
    "NumericLessThanEquals": {"sts:DurationSeconds": 300},
}
KEY = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:yandex/key-??????"


def log_to(group: str) -> set[tuple[str, str]]:
    return {("logs:CreateLogStream", f"<{group}.Arn>"), ("logs:PutLogEvents", f"<{group}.Arn>")}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """Return every statement with the role that has it, wherever in the template it is written."""
    found = []
    for role, properties in resolved(template, "AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            found += [(f"<{role}>", statement) for statement in policy["PolicyDocument"]["Statement"]]
    for properties in resolved(template, "AWS::IAM::Policy").values():
        for role in properties["Roles"]:
            found += [(role, statement) for statement in properties["PolicyDocument"]["Statement"]]
    return found


def allowed(template: Template, role: str) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for holder, statement in statements(template)
        if holder == f"<{role}>" and statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def test_each_role_may_do_exactly_what_its_function_does(template: Template) -> None:
    key = {("secretsmanager:GetSecretValue", KEY)}
    assert allowed(template, "CopyRole") == {
        *LEDGER, *WAKE_UP, *NOTICE, *FAILED_EVENT, *key, *log_to("CopyLogGroup"),
        ("s3:GetObject", "<TrailBucket.Arn>/*"),
    }  # fmt: skip
    assert allowed(template, "PollRole") == {
        *LEDGER, *WAKE_UP, *NOTICE, *key, *log_to("PollLogGroup"),
        ("sqs:ReceiveMessage", "<PollQueue.Arn>"),
        ("sqs:DeleteMessage", "<PollQueue.Arn>"),
        ("sqs:GetQueueAttributes", "<PollQueue.Arn>"),
    }  # fmt: skip
    assert allowed(template, "CleanupRole") == {
        *LEDGER, *WAKE_UP, *NOTICE, *FAILED_EVENT, *key, *log_to("CleanupLogGroup"),
    }  # fmt: skip


def test_keyless_replaces_the_secret_and_a_bucket_policy_adds_its_object(template: Template, keyless: Template) -> None:
    for role in ("CopyRole", "PollRole", "CleanupRole"):
        assert allowed(keyless, role) - allowed(template, role) == {
            ("sts:GetWebIdentityToken", "*"),
            ("s3:GetObject", "arn:aws:s3:::policies/desktop/images.json"),
        }
        assert allowed(template, role) - allowed(keyless, role) == {("secretsmanager:GetSecretValue", KEY)}


def test_a_complete_arn_is_granted_as_it_is() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:yandex/key-AbC123"
    template = expand({"ImagePolicy": "{}", "ServiceAccountKeySecret": arn})
    granted = {resource for action, resource in allowed(template, "PollRole") if action.startswith("secretsmanager")}
    assert granted == {arn}


def test_nothing_is_granted_on_everything_but_the_one_call_that_has_no_resource(
    template: Template, keyless: Template
) -> None:
    wide = set()
    for candidate in (template, keyless):
        for _, statement in statements(candidate):
            assert not any("*" in action for action in as_list(statement["Action"])), statement
            for resource in as_list(statement["Resource"]):
                if resource == "*":
                    assert statement["Condition"] == WEB_IDENTITY_LIMITS
                    wide.add(statement["Action"])
                elif "*" in resource:
                    assert resource == "<TrailBucket.Arn>/*"
    assert wide == {"sts:GetWebIdentityToken"}


def test_every_role_is_written_here_and_only_lambda_takes_it(template: Template) -> None:
    roles = resolved(template, "AWS::IAM::Role")
    assert {function["Role"] for function in resolved(template, "AWS::Lambda::Function").values()} == {
        f"<{role}.Arn>" for role in roles
    }
    for role in roles.values():
        assert "ManagedPolicyArns" not in role
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert (trust["Principal"], trust["Action"]) == ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")


def test_functions_are_invoked_only_by_this_stacks_sources(template: Template) -> None:
    for permission in resolved(template, "AWS::Lambda::Permission").values():
        assert permission["Principal"] in {"events.amazonaws.com", "apigateway.amazonaws.com"}
        assert permission["SourceArn"].startswith(("<", "arn:aws:execute-api:eu-central-1:123456789012:<Api>/"))


def test_the_bucket_refuses_plain_http(template: Template) -> None:
    (policy,) = resolved(template, "AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
