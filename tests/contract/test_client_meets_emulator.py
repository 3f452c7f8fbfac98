"""Our client and the emulator, which share no code, understand each other over real sockets."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cloud_desktop import ApiError, YandexCloud
from local.emulator.faults import Fault
from local.emulator.http import EmulatorServer
from local.emulator.world import World

ORIGINS = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(World(copy_seconds=0, delete_seconds=0, static_token="t1.given.token")) as running:
        yield running


def client(server: EmulatorServer, web_identity: str = "", **settings: str) -> YandexCloud:
    environ = {f"YC_{service}_URL": server.url for service in ORIGINS} | settings
    return YandexCloud.from_environment(environ, web_identity_token=lambda _: web_identity, sleep=lambda _: None)


def test_every_call(server: EmulatorServer) -> None:
    source = server.world.add_compute_image(folder_id="b1gsource", name="win11", family="win11-office")
    server.world.add_compute_image(folder_id="b1gsource")
    desktop = server.world.add_desktop("b1gtarget")
    with closing(client(server, YC_TOKEN="t1.given.token")) as cloud:
        assert cloud.compute_images.get(source.id).storage_size == source.storage_size
        assert len(list(cloud.compute_images.list("b1gsource", page_size=1, order_by="createdAt desc"))) == 2
        assert cloud.compute_images.latest_by_family("b1gsource", "win11-office").id == source.id

        copied = cloud.desktop_images.copy(
            folder_id="b1gtarget",
            name='it\'s "win11" \\ №1',
            image_id=source.id,
            labels={"channel": "stable"},
            description="from fd8",
            idempotency_key=uuid.uuid4(),
        )
        assert cloud.operations.get(copied.id).done
        [found] = cloud.desktop_images.list("b1gtarget", name='it\'s "win11" \\ №1')
        image = cloud.desktop_images.get(found.id)
        assert (image.id, image.status, image.labels) == (copied.image_id, "ACTIVE", {"channel": "stable"})

        assert cloud.desktop_images.update(image.id, labels={"channel": "old"}).done
        changed = cloud.desktop_images.get(image.id)
        assert (changed.labels, changed.description) == ({"channel": "old"}, "from fd8")
        assert cloud.desktop_images.copy_from_desktop(desktop_id=desktop, name="made").done
        assert cloud.quotas.get("vdi.desktopImages.count", cloud_id="b1gcloud").usage == 2
        with pytest.raises(ApiError) as refused:
            cloud.operations.cancel(copied.id)
        assert refused.value.code == 9
        assert cloud.desktop_images.delete(image.id).done
        assert [left.name for left in server.world.desktop_images()] == ["made"]


def means(server: EmulatorServer) -> dict[str, dict[str, Any]]:
    """Return every means of proving who calls, as arguments of `client`."""
    issuer = server.world.identity.add_issuer("https://issuer.test", ("yandex",))
    server.world.identity.add_federated_credential(issuer=issuer.url, subject="role", service_account_id="ajeaccount")
    return {
        "token": {"YC_TOKEN": "t1.given.token"},
        "authorized key": {"YC_SERVICE_ACCOUNT_KEY_FILE": json.dumps(server.world.issue_service_account_key())},
        "exchange": {"YC_SERVICE_ACCOUNT_ID": "ajeaccount", "web_identity": issuer.sign(subject="role")},
        "metadata service": {"YC_METADATA_ADDR": server.url.removeprefix("http://")},
    }


@pytest.mark.parametrize("name", ["token", "authorized key", "exchange", "metadata service"])
def test_every_means_of_proving_who_calls(server: EmulatorServer, name: str) -> None:
    with closing(client(server, **means(server)[name])) as cloud:
        assert all(image.name for image in cloud.desktop_images.list("b1gtarget"))


def test_a_token_that_was_refused_is_asked_for_anew(server: EmulatorServer) -> None:
    with closing(client(server, **means(server)["authorized key"])) as cloud:
        list(cloud.desktop_images.list("b1gtarget"))
        server.world.identity.revoke_tokens()
        list(cloud.desktop_images.list("b1gtarget"))
    assert server.world.calls["POST /iam/v1/tokens"] == 2


def test_a_copy_whose_answer_was_lost_is_not_made_twice(server: EmulatorServer) -> None:
    source = server.world.add_compute_image(folder_id="b1gsource")
    server.faults.add(Fault(kind="reset_after", route="POST images:copy"))
    with closing(client(server, YC_TOKEN="t1.given.token")) as cloud:
        cloud.desktop_images.copy(folder_id="b1gtarget", name="win11", image_id=source.id, idempotency_key=uuid.uuid4())
    assert server.world.calls["POST /cloud-desktop/v1/images:copy"] == 2
    assert len(server.world.desktop_images()) == 1


def test_no_token_follows_a_redirect(server: EmulatorServer) -> None:
    with EmulatorServer(World()) as elsewhere, closing(client(server, YC_TOKEN="t1.given.token")) as cloud:
        server.faults.add(Fault(kind="redirect", location=elsewhere.url, times=None))
        with pytest.raises(Exception, match="307"):
            list(cloud.desktop_images.list("b1gtarget"))
        assert not elsewhere.world.calls
