"""Verdicts, announced: to an SNS topic, to a webhook, or to nobody.

At least once: a notice may come twice after a crash, and then has the same `noticeId`.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Protocol

from image_pipeline.copies import Copy, answer, notice_id

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

WEBHOOK_TIMEOUT = 10.0
"""Seconds for each of connecting, sending and the first word of the answer; what follows is not read."""
_LONGEST_SUBJECT = 100


class Channel(Protocol):
    """A way to tell somebody."""

    def send(self, subject: str, notice: dict[str, Any]) -> None:
        """Deliver the notice or raise."""


class NoticeError(Exception):
    """A notice could not be delivered. The verdict stands; the notice stays due and is sent again."""


class Topic:
    """An SNS topic; the notice is its message, as JSON."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def send(self, subject: str, notice: dict[str, Any]) -> None:
        """Publish the notice. Raises ClientError or BotoCoreError.

        SNS refuses a subject that is not printable ASCII of at most 100 characters; the message has the whole name.
        """
        plain = "".join(character if " " <= character <= "~" else "?" for character in subject)[:_LONGEST_SUBJECT]
        self._client.publish(TopicArn=self._arn, Subject=plain, Message=json.dumps(notice))


class Webhook:
    """A URL that notices are posted to as JSON; any 2xx answer is a delivery. The URL is a secret, never shown."""

    def __init__(self, url: str) -> None:
        self._url = url
        logging.getLogger("httpx").setLevel(logging.WARNING)  # on INFO it would log the URL

    def send(self, subject: str, notice: dict[str, Any]) -> None:
        """Post the notice. Redirects are not followed.

        Raises:
            NoticeError: no answer, or one that is not 2xx.
        """
        import httpx  # noqa: PLC0415 - only where a webhook is configured and a verdict is due

        # Raised outside the handler: httpx's own error holds the request with its URL.
        try:
            with httpx.stream(
                "POST",
                self._url,
                json={"subject": subject, **notice},
                timeout=WEBHOOK_TIMEOUT,
                headers={"Idempotency-Key": notice["noticeId"]},
            ) as response:
                problem = "" if response.is_success else f"answered {response.status_code}, not 2xx"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # idna refuses a host with a ValueError
            problem = f"gave no answer: {type(error).__name__}"
        if problem:
            raise NoticeError(f"the webhook of NOTIFY_WEBHOOK_URL {problem}")


class Notices:
    """The announcements of verdicts, over every configured channel."""

    def __init__(self, channels: tuple[Channel, ...]) -> None:
        self._channels = channels

    def announce(self, copy: Copy) -> None:
        """Tell every channel about the copy's state. Raises what the channel raises; then the notice stays due."""
        subject = f"Desktop image {copy.name}: {copy.state}"
        notice = {"noticeId": str(notice_id(copy)), **answer(copy)}
        for channel in self._channels:
            channel.send(subject, notice)
