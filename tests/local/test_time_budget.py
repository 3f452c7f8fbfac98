"""A service that hangs under the real function: the invocation ends by itself and gives its rest back."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from local.emulator.faults import Fault
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from local.host import LocalHost
from tests.rig.pipeline import SOURCE, TARGET, policy_json

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("CloudDesktopUrl", "ComputeUrl", "OperationUrl", "IamUrl", "TokenExchangeUrl", "QuotaUrl")
TIMEOUT = 9


def _wait(released: threading.Event) -> None:
    released.wait(60)


def test_a_hanging_service_does_not_get_an_invocation_killed() -> None:
    world, released = World(copy_seconds=600), threading.Event()
    images = [
        world.add_compute_image(folder_id=SOURCE, name=f"win11-{number}", family="win11-office").id
        for number in range(2)
    ]
    with (
        EmulatorServer(world) as emulator,
        LocalHost(
            template=ROOT / "template.yaml",
            parameters={
                **dict.fromkeys(SERVICES, emulator.url),
                "ImagePolicy": policy_json(),
                "ServiceAccountKeySecret": "key",
            },
            secrets={"key": json.dumps(world.issue_service_account_key())},
            properties={"PollOperationFunction": {"Timeout": TIMEOUT}},
        ) as host,
    ):
        swept = host.invoke("CopyOnNewComputeImageFunction", {"source": "schedule", "action": "sweep"})
        host.aws.client("sqs").purge_queue(QueueUrl=host.resource("PollQueue").ref)
        bodies = [json.dumps({"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 1}) for image_id in images]
        records = [
            {"messageId": f"m{number}", "body": body, "eventSource": "aws:sqs"} for number, body in enumerate(bodies)
        ]
        host.invoke("PollOperationFunction", {"Records": [{**records[0], "body": "warm up"}]})
        emulator.faults.sleep = lambda _seconds: _wait(released)
        emulator.faults.add(Fault(kind="latency", route="GET operations/*", seconds=60, times=None))

        answered = host.invoke("PollOperationFunction", {"Records": records})
        released.set()

    assert len(swept.payload["sweep"]["started"]) == 2
    assert answered.error is None, "killed at its time limit, Lambda would have told nobody what is left"
    assert answered.payload == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert TIMEOUT - 5 < answered.seconds < TIMEOUT
    assert "no time is left for this record" in "".join(answered.logs)
