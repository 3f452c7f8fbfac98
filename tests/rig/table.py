"""A ledger table in memory, at the level of the boto3 client, for tests that make thousands of calls.

`tests/unit/test_ledger.py` holds it and moto's DynamoDB to the same behaviour.
"""

from __future__ import annotations

import copy
from typing import Any

from botocore.exceptions import ClientError

Key = tuple[str, str]


class MemoryTable:
    """The calls of a DynamoDB client that the ledger makes, over one table with (folder_id, image_id) as its key."""

    def __init__(self, page: int = 1000) -> None:
        self.items: dict[Key, dict[str, Any]] = {}
        self._page = page

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        item = self.items.get(_key(Key))
        return {"Item": copy.deepcopy(item)} if item else {}

    def put_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Item: dict[str, Any],  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeValues: dict[str, Any] | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        stored = self.items.get(_key(Item))
        match ConditionExpression:
            case None | "attribute_not_exists(folder_id) OR attribute_exists(folder_id)":
                holds = True
            case "attribute_not_exists(folder_id)":
                holds = stored is None
            case "version = :expected":
                assert ExpressionAttributeValues is not None
                holds = stored is not None and stored.get("version") == ExpressionAttributeValues[":expected"]
            case other:
                raise AssertionError(f"this table does not know the condition {other!r}")
        if not holds:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException", "Message": "no"}}, "PutItem")
        self.items[_key(Item)] = copy.deepcopy(Item)
        return {}

    def query(
        self,
        *,
        TableName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        ExclusiveStartKey: Any = None,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        assert KeyConditionExpression == "folder_id = :folder"
        folder = ExpressionAttributeValues[":folder"]["S"]
        keys = [key for key in self.items if key[0] == folder]
        if not ScanIndexForward:
            return {"Items": [copy.deepcopy(self.items[key]) for key in sorted(keys, reverse=True)[:Limit]]}
        return self._pages(keys, ExclusiveStartKey)

    def scan(self, *, TableName: str, ExclusiveStartKey: Any = None) -> dict[str, Any]:  # noqa: N803
        return self._pages(list(self.items), ExclusiveStartKey)

    def delete_item(self, *, TableName: str, Key: Any) -> dict[str, Any]:  # noqa: N803
        self.items.pop(_key(Key), None)
        return {}

    def _pages(self, keys: list[Key], start: Any) -> dict[str, Any]:
        keys.sort()
        if start is not None:
            keys = [key for key in keys if key > _key(start)]
        answer: dict[str, Any] = {"Items": [copy.deepcopy(self.items[key]) for key in keys[: self._page]]}
        if len(keys) > self._page:
            folder_id, image_id = keys[self._page - 1]
            answer["LastEvaluatedKey"] = {"folder_id": {"S": folder_id}, "image_id": {"S": image_id}}
        return answer


def _key(item: Any) -> Key:
    return item["folder_id"]["S"], item["image_id"]["S"]
