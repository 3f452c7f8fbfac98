"""Reading a template: parameters, conditions, intrinsic functions, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.host import LocalHost, Template, TemplateError
from local.host.aws import LocalAws
from local.host.stack import Stack

FIXTURE = Path(__file__).parent / "fixtures" / "template.yaml"


def read(path: Path = FIXTURE, **parameters: str) -> Template:
    return Template(path, {"Greeting": "hello", **parameters}, region="eu-central-1", stack_name="a-stack")


def lookup(logical_id: str, attribute: str | None) -> str:
    return f"<{logical_id}.{attribute}>"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "Parameter Greeting has no default and no value was given: What the functions find in GREETING."),
        ({"Greeting": "LOUD"}, "Parameter Greeting must be lower case letters."),
        (
            {"Greeting": "hello", "WithExtra": "maybe"},
            r"Parameter WithExtra is 'maybe'; it takes one of \['yes', 'no'\]",
        ),
        ({"Greeting": "hello", "Colour": "red"}, "The template has no parameter Colour; it has Every, Greeting"),
    ],
)
def test_parameters_are_checked_as_a_deployment_checks_them(parameters: Mapping[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        Template(FIXTURE, parameters, region="eu-central-1", stack_name="a-stack")


def test_conditions_choose_resources() -> None:
    assert "ExtraQueue" not in read().resources
    assert "ExtraQueue" in read(WithExtra="yes").resources
    template = read(WithExtra="yes")
    held = {name: template.holds(name) for name in ("Extra", "Plain", "Both", "Either")}
    assert held == {"Extra": True, "Plain": False, "Both": False, "Either": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Greeting"}, "hello"),
        ({"Ref": "Work"}, "<Work.None>"),
        ({"Fn::GetAtt": ["Work", "Arn"]}, "<Work.Arn>"),
        ({"Fn::GetAtt": "Work.Arn"}, "<Work.Arn>"),
        ({"Fn::Sub": "${Greeting}/${Work}/${Work.Arn}/${!Kept}"}, "hello/<Work.None>/<Work.Arn>/${Kept}"),
        ({"Fn::Sub": ["${A}-${AWS::StackName}", {"A": {"Ref": "Greeting"}}]}, "hello-a-stack"),
        ({"Fn::If": ["Extra", 1, {"Ref": "AWS::Partition"}]}, "aws"),
        ({"Fn::Equals": [{"Ref": "Greeting"}, "hello"]}, True),
        ([1, {"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}, "b": 2}], [1, {"b": 2}]),
        ({"Statement": {"Condition": {"StringEquals": {}}}}, {"Statement": {"Condition": {"StringEquals": {}}}}),
    ],
)
def test_intrinsic_functions_are_resolved(value: Any, expected: Any) -> None:
    assert read().resolve(value, lookup) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue is not known to the local host"),
        ({"Fn::Select": [2, ["a", "b"]]}, "Fn::Select cannot take element 2 of the 2"),
        ({"Fn::If": ["Missing", 1, 2]}, "Condition Missing is used but not defined"),
    ],
)
def test_what_cannot_be_resolved_is_named(value: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        read().resolve(value, lookup)


def test_an_override_of_nothing_is_refused() -> None:
    with pytest.raises(TemplateError, match="Properties are overridden for Wrok, which the template does not have"):
        Stack(read(), LocalAws(), "a-stack", {"Wrok": {}})


def test_a_resource_this_host_cannot_create_is_named(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Cluster: {Type: 'AWS::ECS::Cluster', Properties: {}}}")
    host = LocalHost(template=template, parameters={})
    with pytest.raises(TemplateError, match="Cluster is a AWS::ECS::Cluster; teach"), host:
        pass


def test_resources_exist_as_the_template_says(host: LocalHost) -> None:
    table = host.resource("Ledger").ref
    described = host.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    assert described["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    time_to_live = host.aws.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert time_to_live == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    secret = host.aws.client("secretsmanager").get_secret_value(SecretId="key")
    assert secret["SecretString"] == "kept"
    names = ["VisibilityTimeout", "RedrivePolicy"]
    work = host.aws.client("sqs").get_queue_attributes(QueueUrl=host.resource("Work").ref, AttributeNames=names)
    assert work["Attributes"]["VisibilityTimeout"] == "1"
    assert host.resource("WorkDead").attributes["Arn"] in work["Attributes"]["RedrivePolicy"]
    subscriptions = host.aws.client("sns").list_subscriptions()["Subscriptions"]
    assert [subscription["Protocol"] for subscription in subscriptions] == ["sqs"]


def test_two_hosts_at_a_time_are_refused(host: LocalHost) -> None:
    second = LocalHost(template=FIXTURE, parameters={"Greeting": "hello"})
    with pytest.raises(RuntimeError, match="already running in this process"), second:
        pass
    assert host.invoke("EchoFunction", {"still": "here"}).error is None
