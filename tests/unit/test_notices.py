"""Notices: what SNS subscribers and webhooks get, and what never gets into a log."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from image_pipeline.copies import Copy, notice_id
from image_pipeline.notices import NoticeError, Notices, Topic, Webhook
from tests.rig.aws import Aws
from tests.rig.pipeline import Mailbox
from tests.unit.test_copies import a_copy

SECRET = "T000/B000/hush"


class Receiver(ThreadingHTTPServer):
    """A webhook on loopback that keeps what it is sent and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.status)
        for name, value in {**self.server.headers, "Content-Length": str(len(self.server.body) + 1)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)  # one byte less than promised: whoever waits for all of it fails

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base class names it


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def announce(url: str, copy: Copy | None = None) -> None:
    Notices((Webhook(url),)).announce(copy or a_copy())


def refusal(url: str) -> str:
    with pytest.raises(NoticeError) as caught:
        announce(url)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert "127.0.0.1" not in shown
    return str(caught.value)


def test_a_webhook_gets_the_copy_and_the_id_of_the_notice(receiver: Receiver) -> None:
    copy = a_copy(name="Büro 11")
    announce(receiver.url, copy)

    [(path, headers, body)] = receiver.received
    assert path == f"/{SECRET}"
    assert headers["Idempotency-Key"] == body["noticeId"] == str(notice_id(copy))
    assert headers["Content-Type"] == "application/json"
    assert body["subject"] == "Desktop image Büro 11: ACTIVE"
    assert (body["folderId"], body["imageId"], body["state"]) == (copy.folder_id, copy.image_id, "ACTIVE")


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_is_a_delivery_and_its_body_is_not_waited_for(receiver: Receiver, status: int) -> None:
    receiver.status = status
    receiver.body = b"x" * 10_000
    announce(receiver.url)

    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 403, 404, 429, 500, 503])
def test_any_other_status_is_an_error_without_the_address(receiver: Receiver, status: int) -> None:
    receiver.status = status
    receiver.headers = {"Location": receiver.url}

    assert refusal(receiver.url) == f"the webhook of NOTIFY_WEBHOOK_URL answered {status}, not 2xx"
    assert len(receiver.received) == 1, "a redirect was followed"


def test_no_answer_is_an_error_without_the_address() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/{SECRET}"

        assert refusal(url) == "the webhook of NOTIFY_WEBHOOK_URL gave no answer: ConnectError"


def test_an_address_that_cannot_be_called_is_an_error_without_the_address() -> None:
    assert refusal(f"http://xn--a/{SECRET}").startswith("the webhook of NOTIFY_WEBHOOK_URL gave no answer: ")


def test_the_address_is_not_logged(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        announce(receiver.url)

    assert SECRET not in caplog.text


def test_a_subscriber_of_the_topic_gets_the_notice(aws: Aws) -> None:
    sns, sqs, url = aws.client("sns"), aws.client("sqs"), aws.queue()
    arn = sns.create_topic(Name="verdicts")["TopicArn"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    copy = a_copy(name="Офис 11")

    Notices((Topic(sns, arn),)).announce(copy)

    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    envelope = json.loads(message["Body"])
    assert envelope["Subject"] == "Desktop image ???? 11: ACTIVE"
    notice = json.loads(envelope["Message"])
    assert notice["name"] == "Офис 11"
    assert notice["noticeId"] == str(notice_id(copy))


class Publisher:
    """An SNS client that keeps what it is given."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803 - boto's own names
        self.subjects.append(Subject)


@pytest.mark.parametrize("name", ["a\nb\tc", "Ü" * 50, "x" * 200, "\x7f\ud800"])
def test_a_subject_is_what_sns_takes(name: str) -> None:
    publisher: Any = Publisher()
    Notices((Topic(publisher, "arn"),)).announce(a_copy(name=name))

    [subject] = publisher.subjects
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) <= 100


def test_every_channel_is_told_the_same(receiver: Receiver) -> None:
    mailbox = Mailbox()
    Notices((mailbox, Webhook(receiver.url))).announce(a_copy())

    assert mailbox.notices == [receiver.received[0][2]]


def test_without_channels_nobody_is_told() -> None:
    Notices(()).announce(a_copy())
