"""The command line, with its settings from the environment, against the emulator and moto."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from image_pipeline.app import forget_app
from local.cli import cli
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from tests.rig.aws import Aws
from tests.rig.pipeline import SOURCE, TARGET, policy_json

Run = Callable[..., Result]


@pytest.fixture
def world() -> World:
    return World(copy_seconds=0, static_token="t1.cli")


@pytest.fixture
def emulator(world: World) -> Iterator[EmulatorServer]:
    with EmulatorServer(world) as server:
        yield server


@pytest.fixture
def queue(aws: Aws) -> str:
    return aws.queue()


@pytest.fixture
def run(aws: Aws, queue: str, emulator: EmulatorServer) -> Iterator[Run]:
    services = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")
    environment = {
        **aws.environment(),
        **{f"YC_{service}_URL": emulator.url for service in services},
        "YC_TOKEN": "t1.cli",
        "POLL_QUEUE_URL": queue,
        "COPIES_TABLE": aws.table(),
        "IMAGE_POLICY": policy_json(),
    }

    def invoke(*arguments: str, **changes: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), env={**environment, **changes})

    yield invoke
    forget_app()


def image(world: World, **fields: Any) -> str:
    return world.add_compute_image(**{"folder_id": SOURCE, "name": "win11", "family": "win11-office", **fields}).id


def test_one_copy_by_hand_and_the_list_of_copies(run: Run, world: World) -> None:
    image_id = image(world)

    begun, listed, none = run("copy", image_id), run("copies"), run("copies", "--state", "FAILED")

    assert begun.exit_code == 0, begun.output
    assert begun.stdout.startswith("started: ")
    assert [copy["imageId"] for copy in json.loads(listed.stdout)] == [image_id]
    assert json.loads(none.stdout) == []


def test_sweep_says_what_it_selected(run: Run, world: World) -> None:
    image(world)

    swept = run("sweep")

    assert json.loads(swept.stdout)["selected"] == 1


def test_plan_and_cleanup_show_the_same_table_and_the_run_is_kept(run: Run, world: World) -> None:
    world.add_desktop_image(folder_id=TARGET, name="by hand")

    plan, cleanup, runs = run("plan"), run("cleanup"), run("runs")

    assert "foreign" in plan.stdout
    assert "by hand" in plan.stdout
    assert 'the policy says "cleanup": "plan"' in cleanup.stdout
    assert "Nothing was deleted" in runs.stdout


def test_pin_and_unpin(run: Run, world: World) -> None:
    image_id = image(world)
    run("copy", image_id)

    assert run("pin", TARGET, image_id).stdout.endswith("is pinned\n")
    assert run("unpin", TARGET, image_id).stdout.endswith("is not pinned\n")
    missing = run("pin", TARGET, "fd8none")
    assert (missing.exit_code, missing.stderr) == (1, "there is no copy of image fd8none in folder b1gtarget\n")


def test_dead_letters_are_put_back_to_work_and_what_is_no_wake_up_stays(
    run: Run, world: World, aws: Aws, queue: str
) -> None:
    image_id = image(world, ready_after=60.0)
    run("copy", image_id)
    sqs = aws.client("sqs")
    sqs.purge_queue(QueueUrl=queue)
    dead = aws.queue()
    announced = image(world, name="win11-b")
    for body in (
        {"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 0},
        {"requestContext": {}, "requestPayload": {"imageId": announced}},
        {"poison": True},
    ):
        sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(body))

    report = run("redrive", dead)

    assert report.exit_code == 1
    assert report.stdout.startswith("2 redriven, 1 left where they are\n  1 left: a message is not a wake-up")
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"]) == {"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 1}
    assert {copy["imageId"] for copy in json.loads(run("copies").stdout)} == {image_id, announced}


def test_a_missing_setting_is_one_sentence(run: Run) -> None:
    result = run("copies", COPIES_TABLE="")

    assert result.exit_code == 1
    assert result.stderr == "COPIES_TABLE is not set; it should hold the name of the table that holds the ledger\n"
