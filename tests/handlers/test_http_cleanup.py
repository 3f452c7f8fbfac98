"""GET and POST /cleanup: the plan as JSON and as a table, and carrying it out."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from cloud_desktop import Code
from image_pipeline.copies import State
from tests.rig.http import call
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

DELETE = "DELETE /cloud-desktop/v1/images/{imageId}"


def old_rig(cleanup: str) -> tuple[Rig, list[str]]:
    """A rig with three ACTIVE copies of 41, 11 and 3 days, of which one is to be kept; and their sources."""
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE, "family": "win11-*"},
        "target": {"folder_id": TARGET},
        "retention": {"keep_last": 1, "min_age_days": 7},
    }
    rig = Rig(policy=policy_json(routes=[route], cleanup=cleanup))
    sources = []
    for days in (30, 8, 3):
        sources.append(rig.add_image())
        rig.take(sources[-1])
        rig.settle()
        rig.clock.advance(days=days)
    return rig, sources


def test_the_plan_has_every_image_with_its_verdict_and_reasons() -> None:
    rig, sources = old_rig("apply")

    answered = call(rig, "GET", "/cleanup")

    assert answered.status == HTTPStatus.OK
    verdicts = {image.get("sourceImageId"): image["verdict"] for image in answered.json["images"]}
    assert [verdicts[source] for source in sources] == ["delete", "delete", "keep"]
    assert all(image["reasons"] for image in answered.json["images"])
    assert answered.json["counts"]["delete"] == 2
    assert rig.world.calls[DELETE] == 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain, */*;q=0.1", "text/plain; charset=utf-8"),
        ("application/json, text/plain, */*", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_the_plan_is_a_table_for_those_who_ask_for_text(accept: str, content_type: str) -> None:
    answered = call(old_rig("plan")[0], "GET", "/cleanup", accept=accept)
    assert answered.headers["Content-Type"] == content_type
    if content_type.startswith("text"):
        header = next(line for line in answered.body.splitlines() if line.startswith("VERDICT"))
        assert "REASONS" in header
        assert sum(line.startswith("delete ") for line in answered.body.splitlines()) == 2


def test_carrying_it_out_deletes_what_the_plan_says() -> None:
    rig, sources = old_rig("apply")

    answered = call(rig, "POST", "/cleanup")
    rig.settle()

    assert answered.status == HTTPStatus.OK
    assert answered.json["applied"] is True
    assert [copy["imageId"] for copy in answered.json["retired"]] == sources[:2]
    assert [rig.row(source).state for source in sources] == [State.RETIRED, State.RETIRED, State.ACTIVE]


def test_without_apply_the_plan_comes_back_with_the_reason_why_nothing_was_done() -> None:
    rig, _ = old_rig("plan")

    answered = call(rig, "POST", "/cleanup")

    assert answered.status == HTTPStatus.OK
    assert (answered.json["applied"], answered.json["retired"]) == (False, [])
    assert answered.json["message"].startswith('Nothing was deleted: the policy says "cleanup": "plan".')
    assert answered.json["counts"]["delete"] == 2
    assert rig.world.calls[DELETE] == 0


def test_a_target_folder_that_cannot_be_read_is_403() -> None:
    rig, _ = old_rig("plan")
    rig.world.deny_folder(TARGET)
    answered = call(rig, "GET", "/cleanup", accept="text/plain")
    assert (answered.status, answered.code) == (403, Code.PERMISSION_DENIED)


def test_a_pin_keeps_an_image_and_taking_it_off_lets_it_go() -> None:
    rig, sources = old_rig("apply")
    path = f"/copies/{TARGET}/{sources[0]}/pin"

    pinned = call(rig, "POST", path)
    kept = call(rig, "POST", "/cleanup").json["retired"]
    unpinned = call(rig, "DELETE", path)
    gone = call(rig, "POST", "/cleanup").json["retired"]

    assert (pinned.status, pinned.json["pinned"]) == (HTTPStatus.OK, True)
    assert [copy["imageId"] for copy in kept] == [sources[1]]
    assert (unpinned.status, "pinned" in unpinned.json) == (HTTPStatus.OK, False)
    assert [copy["imageId"] for copy in gone] == [sources[0]]


def test_a_copy_that_is_not_there_cannot_be_pinned() -> None:
    refused = call(Rig(), "POST", f"/copies/{TARGET}/fd8none/pin")

    assert (refused.status, refused.code) == (404, Code.NOT_FOUND)
    assert refused.message == "there is no copy of image fd8none in folder b1gtarget"


def test_the_plan_shows_the_last_runs() -> None:
    rig, _ = old_rig("plan")
    call(rig, "POST", "/cleanup")

    [run] = call(rig, "GET", "/cleanup").json["lastRuns"]

    assert run["message"].startswith("Nothing was deleted")
    assert [image["verdict"] for image in run["images"]] == ["delete", "delete"]
