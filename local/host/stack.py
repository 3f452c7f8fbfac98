"""Create the template's resources in the local AWS, each when something first refers to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.host.aws import REGION, LocalAws
from local.host.template import ACCOUNT_ID, Resource, Template, TemplateError

QUEUE = "AWS::SQS::Queue"
TABLE = "AWS::DynamoDB::Table"
BUCKET = "AWS::S3::Bucket"
TOPIC = "AWS::SNS::Topic"
SUBSCRIPTION = "AWS::SNS::Subscription"
FUNCTION = "AWS::Lambda::Function"

# Nothing on one machine depends on these; a Ref or Arn of one is a made-up name.
NOT_CREATED = frozenset(
    {
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Stage",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        FUNCTION,
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
        "AWS::S3::BucketPolicy",
    }
)


@dataclass(frozen=True)
class Physical:
    """A created resource.

    Attributes:
        ref: What `Ref` returns: a queue's URL, a table's or bucket's name, a topic's ARN.
        attributes: What `Fn::GetAtt` returns, by name.
    """

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """The template's resources in one local AWS.

    Args:
        template: What to create.
        aws: Where; started.
        name: Stack name, the beginning of every physical name.
        overrides: Properties by logical id that replace the template's, for example a shorter visibility timeout.

    Raises:
        TemplateError: An override names no resource, or the template has a resource type this host does not know.
    """

    def __init__(
        self, template: Template, aws: LocalAws, name: str, overrides: Mapping[str, Mapping[str, Any]]
    ) -> None:
        unknown = sorted(overrides.keys() - template.resources.keys())
        if unknown:
            raise TemplateError(
                f"Properties are overridden for {', '.join(unknown)}, which the template does not have."
            )
        self.template = template
        self._aws = aws
        self._name = name
        self._overrides = overrides
        self._created: dict[str, Physical] = {}
        self._create: dict[str, Callable[[str, dict[str, Any]], Physical]] = {
            QUEUE: self._create_queue,
            TABLE: self._create_table,
            BUCKET: self._create_bucket,
            TOPIC: self._create_topic,
            SUBSCRIPTION: self._create_subscription,
        }

    def create_all(self) -> None:
        """Create every resource."""
        for logical_id in sorted(self.template.resources):
            self.physical(logical_id)

    def physical(self, logical_id: str) -> Physical:
        """Return a resource, created now if it does not exist yet.

        Raises:
            TemplateError: The template has no such resource, its condition does not hold, or its type is unknown.
        """
        if logical_id not in self._created:
            if logical_id not in self.template.resources:
                raise TemplateError(f"{logical_id} is no resource of the template, or its condition does not hold.")
            resource = self.template.resources[logical_id]
            self._created[logical_id] = self._make(resource)
        return self._created[logical_id]

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Return a resource's properties, resolved, with the overrides."""
        resource = self.template.resources[logical_id]
        resolved: dict[str, Any] = self.template.resolve(dict(resource.properties), self._lookup)
        return {**resolved, **self._overrides.get(logical_id, {})}

    def resolve(self, value: Any) -> Any:
        """Return any part of the template with its intrinsic functions replaced."""
        return self.template.resolve(value, self._lookup)

    def find(self, resource_type: str, reference: str) -> str:
        """Return the logical id of the resource whose name, URL or ARN `reference` is.

        Raises:
            TemplateError: There is none of that type.
        """
        for resource in self.template.of_type(resource_type):
            physical = self.physical(resource.logical_id)
            if reference in {physical.ref, physical.attributes.get("Arn")}:
                return resource.logical_id
        raise TemplateError(f"{reference} is no {resource_type} of the template.")

    def _lookup(self, logical_id: str, attribute: str | None) -> Any:
        physical = self.physical(logical_id)
        if attribute is None:
            return physical.ref
        if attribute not in physical.attributes:
            raise TemplateError(
                f"{logical_id} has no attribute {attribute} on this host; add it to local/host/stack.py."
            )
        return physical.attributes[attribute]

    def _make(self, resource: Resource) -> Physical:
        name = f"{self._name}-{resource.logical_id}"
        create = self._create.get(resource.type)
        if create is not None:
            return create(name, self.properties(resource.logical_id))
        if resource.type not in NOT_CREATED:
            raise TemplateError(f"{resource.logical_id} is a {resource.type}; teach local/host/stack.py to create it.")
        service = resource.type.split("::")[1].lower()
        kind = resource.type.split("::")[2].lower()
        name = self.resolve(resource.properties.get("FunctionName", name))
        return Physical(name, {"Arn": f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{kind}:{name}"})

    def _create_queue(self, name: str, properties: dict[str, Any]) -> Physical:
        name = properties.pop("QueueName", name)
        properties.pop("Tags", None)
        attributes = {key: _attribute(value) for key, value in properties.items()}
        sqs = self._aws.client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return Physical(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})

    def _create_table(self, name: str, properties: dict[str, Any]) -> Physical:
        name = properties.get("TableName", name)
        dynamodb = self._aws.client("dynamodb")
        wanted = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        arguments = {key: properties[key] for key in wanted if key in properties}
        answer = dynamodb.create_table(TableName=name, **arguments)
        time_to_live = properties.get("TimeToLiveSpecification")
        if time_to_live is not None:
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=time_to_live)
        return Physical(name, {"Arn": answer["TableDescription"]["TableArn"]})

    def _create_bucket(self, name: str, properties: dict[str, Any]) -> Physical:
        name = properties.get("BucketName", name.lower())
        s3 = self._aws.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        event_bridge = properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration", {})
        if event_bridge.get("EventBridgeEnabled"):
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        return Physical(name, {"Arn": f"arn:aws:s3:::{name}"})

    def _create_topic(self, name: str, properties: dict[str, Any]) -> Physical:
        name = properties.get("TopicName", name)
        arn = self._aws.client("sns").create_topic(Name=name)["TopicArn"]
        return Physical(arn, {"TopicArn": arn, "TopicName": name})

    def _create_subscription(self, name: str, properties: dict[str, Any]) -> Physical:
        answer = self._aws.client("sns").subscribe(**properties)
        return Physical(answer.get("SubscriptionArn", name))


def _attribute(value: Any) -> str:
    """Write a queue property as the SQS API wants it."""
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
