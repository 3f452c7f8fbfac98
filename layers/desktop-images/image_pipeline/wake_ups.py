"""The queue: a wake-up says "look at this row again", and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from image_pipeline.schedule import QUEUE_LIMIT

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class WakeUp(BaseModel):
    """The queue message: ids and a sequence number. A message whose `seq` is below the row's is stale."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    v: Literal[1] = 1
    folder_id: str = Field(min_length=1, max_length=50)
    image_id: str = Field(min_length=1, max_length=50)
    seq: int = Field(ge=0)


class UnknownMessageError(ValueError):
    """A queue message that is no wake-up. It is left to the queue's redrive policy, which keeps it for a person."""


def parse_wake_up(body: str) -> WakeUp:
    """Return the wake-up in a message body.

    Raises:
        UnknownMessageError: the body is something else; the sentence says which part.
    """
    try:
        return WakeUp.model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the body'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise UnknownMessageError(
            f'a message is not a wake-up like {{"v": 1, "folder_id": "...", "image_id": "...", "seq": 7}}: {problems}'
        ) from None


def read_wake_up(event: Any) -> WakeUp:
    """Return the wake-up in an event of one queue record, of SQS or of Message Queue.

    Raises:
        UnknownMessageError: the event or the body in it is something else.
    """
    match event:
        case {"Records": [{"body": str() as body}]} | {"messages": [{"details": {"message": {"body": str() as body}}}]}:
            return parse_wake_up(body)
        case _:
            raise UnknownMessageError("the event holds no queue message; poll-operation is fed by the queue alone")


class Queue:
    """The queue that poll-operation is fed from: SQS, or Yandex Message Queue."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, wake_up: WakeUp, *, after: int) -> None:
        """Send the wake-up, to be delivered after so many seconds (0 to 900).

        Repeating it is harmless: the second message is recognised as stale by its `seq`.

        Raises:
            ClientError, BotoCoreError: the queue did not take it. The caller must fail too, so that whatever woke it
                is delivered again.
        """
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps(wake_up.model_dump()),
            DelaySeconds=max(0, min(after, QUEUE_LIMIT)),
        )
