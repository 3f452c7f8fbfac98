"""The ledger in DynamoDB, or in YDB through its Document API: one item a copy, written by compare-and-set.

Only operations and condition functions that the Document API documents are used: GetItem, PutItem, Query and Scan, and
conditions of `attribute_not_exists`, `=` and AND (reference: YDB Document API, putItem).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from image_pipeline.copies import Copy
from image_pipeline.occupancy import Occupancy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RESERVED = "#"
"""Folder ids that begin so belong to rows that are not copies, such as the record of a cleanup run."""
RUNS = f"{RESERVED}cleanup-runs"
KEPT_RUNS = timedelta(days=90)


class Snapshot:
    """The copies at one moment, and what they take up of the quota."""

    def __init__(self, copies: Iterable[Copy]) -> None:
        self.rows = {copy.key: copy for copy in copies}
        self.occupancy = Occupancy.of(self.rows.values())

    def put(self, copy: Copy) -> None:
        """Take a row as it is now."""
        self.occupancy.change(self.rows.get(copy.key), copy)
        self.rows[copy.key] = copy


class Ledger:
    """The copies, by (folder_id, image_id). Every call is one round trip, or one a page, with botocore's retries.

    Raises:
        ClientError, BotoCoreError: the table cannot be reached or refuses; nothing was changed or the change is
            guarded by `version`, so the caller may repeat the whole step.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._snapshot: Snapshot | None = None

    def get(self, folder_id: str, image_id: str) -> Copy | None:
        """Return the copy as it was last stored, by a consistent read."""
        answer = self._client.get_item(
            TableName=self._table,
            Key={"folder_id": {"S": folder_id}, "image_id": {"S": image_id}},
            ConsistentRead=True,
        )
        item = answer.get("Item")
        return _copy(item) if item else None

    def create(self, copy: Copy) -> bool:
        """Store a copy that is not there yet. Returns False, and changes nothing, if one is."""
        return self._put(copy, "attribute_not_exists(folder_id)", {})

    def replace(self, copy: Copy, *, expected_version: int) -> bool:
        """Store a copy over the version that it was made from. Returns False, and changes nothing, on any other."""
        return self._put(copy, "version = :expected", {":expected": {"N": str(expected_version)}})

    def snapshot(self) -> Snapshot:
        """Return all copies as one scan saw them, with this process's own writes since; scanned once an invocation."""
        if self._snapshot is None:
            self._snapshot = Snapshot(self.copies())
        return self._snapshot

    def forget_snapshot(self) -> None:
        """Scan anew next time; called when an invocation begins."""
        self._snapshot = None

    def copies(self, folder_id: str | None = None, *, after: tuple[str, str] | None = None) -> Iterator[Copy]:
        """Yield all copies, or those of one folder in the order of their image ids; only what comes after a key."""
        start: dict[str, Any] = {}
        if after is not None:
            start = {"ExclusiveStartKey": {"folder_id": {"S": after[0]}, "image_id": {"S": after[1]}}}
        while True:
            answer: Any
            if folder_id is None:
                answer = self._client.scan(TableName=self._table, **start)
            else:
                answer = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="folder_id = :folder",
                    ExpressionAttributeValues={":folder": {"S": folder_id}},
                    **start,
                )
            for item in answer["Items"]:
                if not item["folder_id"]["S"].startswith(RESERVED):
                    yield _copy(item)
            if not answer.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def keep_run(self, report: dict[str, Any], made_at: datetime) -> None:
        """Keep the report of a cleanup run for 90 days, where the table's time to live is switched on."""
        item = {
            "folder_id": {"S": RUNS},
            "image_id": {"S": made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
            "report": {"S": json.dumps(report)},
            "expires_at": {"N": str(int((made_at + KEPT_RUNS).timestamp()))},
        }
        self._client.put_item(TableName=self._table, Item=item)

    def runs(self, most: int) -> list[dict[str, Any]]:
        """Return the reports of the last cleanup runs, the newest first."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="folder_id = :folder",
            ExpressionAttributeValues={":folder": {"S": RUNS}},
            ScanIndexForward=False,
            Limit=most,
        )
        return [json.loads(item["report"]["S"]) for item in answer["Items"]]

    def _put(self, copy: Copy, condition: str, values: dict[str, Any]) -> bool:
        given: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
        try:
            self._client.put_item(TableName=self._table, Item=_item(copy), ConditionExpression=condition, **given)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        if self._snapshot is not None:
            self._snapshot.put(copy)
        return True


_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def _item(copy: Copy) -> dict[str, Any]:
    return {key: _serialize(value) for key, value in copy.model_dump(mode="json", exclude_none=True).items()}


def _copy(item: Any) -> Copy:
    return Copy.model_validate({key: _deserialize(value) for key, value in item.items()})
