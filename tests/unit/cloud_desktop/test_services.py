from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import InvalidRequestError, NotFoundError, Operation, QuotaLimit, YandexCloud
from cloud_desktop.errors import ApiError, BadAnswerError, TransportError
from tests.unit.cloud_desktop.fakes import Services, answer, client_of, refusal

OPERATION = {"id": "op", "metadata": {"imageId": "e3vnew"}}
KEY = UUID("3f0b6c1e-7a55-4c1c-9d61-0c4c8b0f2a11")


def test_copy_sends_the_first_documents_own_request() -> None:
    services = Services(answer(OPERATION))
    operation = client_of(services).desktop_images.copy(
        folder_id="b1g", name="Образ 1", image_id="fd8", idempotency_key=KEY
    )
    assert (operation.id, operation.image_id, operation.done) == ("op", "e3vnew", False)
    assert services.request.method == "POST"
    assert str(services.request.url) == "http://desktop.test/cloud-desktop/v1/images:copy"
    assert services.request.headers["content-type"] == "application/json"
    assert services.request.headers["idempotency-key"] == str(KEY)
    assert services.sent == {"folderId": "b1g", "name": "Образ 1", "imageId": "fd8"}
    assert "Образ".encode() in services.request.content


def test_copy_sends_labels_and_description_when_given() -> None:
    services = Services(answer(OPERATION))
    client_of(services).desktop_images.copy(
        folder_id="b1g", name="n", image_id="fd8", labels={"a": ""}, description="", idempotency_key=str(KEY).upper()
    )
    assert services.sent["labels"] == {"a": ""}
    assert services.sent["description"] == ""
    assert services.request.headers["idempotency-key"] == str(KEY)


def test_a_key_is_made_up_when_none_is_given() -> None:
    services = Services(answer(OPERATION), answer(OPERATION))
    images = client_of(services).desktop_images
    images.delete("e3v")
    images.delete("e3v")
    first, second = (UUID(request.headers["idempotency-key"]) for request in services.requests)
    assert first != second
    assert (first.version, second.version) == (4, 4)


def test_copy_from_desktop() -> None:
    services = Services(answer(OPERATION), answer(OPERATION))
    images = client_of(services).desktop_images
    images.copy_from_desktop(desktop_id="d1")
    images.copy_from_desktop(desktop_id="d1", folder_id="b1g", name="n", labels={}, description="x")
    assert services.requests[0].url.path == "/cloud-desktop/v1/images:copyFromDesktop"
    assert json.loads(services.requests[0].content) == {"desktopId": "d1"}
    assert json.loads(services.requests[1].content) == {
        "desktopId": "d1",
        "folderId": "b1g",
        "name": "n",
        "labels": {},
        "description": "x",
    }


@pytest.mark.parametrize(
    ("given_fields", "body"),
    [
        ({"name": "n"}, {"updateMask": "name", "name": "n"}),
        ({"labels": {}}, {"updateMask": "labels", "labels": {}}),
        ({"description": ""}, {"updateMask": "description", "description": ""}),
        (
            {"name": "n", "labels": {"k": "v"}, "description": "d"},
            {"updateMask": "name,labels,description", "name": "n", "labels": {"k": "v"}, "description": "d"},
        ),
    ],
)
def test_the_mask_names_what_was_given(given_fields: dict[str, Any], body: dict[str, Any]) -> None:
    services = Services(answer(OPERATION))
    client_of(services).desktop_images.update("e3v", **given_fields)
    assert services.request.method == "PATCH"
    assert services.request.url.path == "/cloud-desktop/v1/images/e3v"
    assert services.sent == body


def test_delete_has_no_body() -> None:
    services = Services(answer(OPERATION))
    client_of(services).desktop_images.delete("e3v", idempotency_key=KEY)
    assert (services.request.method, services.request.content) == ("DELETE", b"")


def test_list_fetches_pages_as_they_are_needed() -> None:
    services = Services(
        answer({"desktopImages": [{"id": "1"}, {"id": "2"}], "nextPageToken": "more/&"}),
        answer({"nextPageToken": "last"}),
        answer({"desktopImages": [{"id": "3"}], "nextPageToken": ""}),
    )
    images = client_of(services).desktop_images.list("b1g", filter='name!="x"', order_by="createdAt desc", page_size=2)
    assert services.requests == []
    assert next(images).id == "1"
    assert len(services.requests) == 1
    assert [image.id for image in images] == ["2", "3"]
    queries = [dict(request.url.params) for request in services.requests]
    base = {"folderId": "b1g", "pageSize": "2", "filter": 'name!="x"', "orderBy": "createdAt desc"}
    assert queries == [base, base | {"pageToken": "more/&"}, base | {"pageToken": "last"}]


def test_a_failure_on_a_later_page_is_not_the_end_of_the_list() -> None:
    services = Services(answer({"desktopImages": [{"id": "1"}], "nextPageToken": "a"}), refusal(7, 403))
    images = client_of(services).desktop_images.list("b1g")
    assert next(images).id == "1"
    with pytest.raises(ApiError):
        next(images)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_any_name_can_be_asked_for(name: str) -> None:
    services = Services(answer({"desktopImages": [{"id": "1", "name": name}, {"id": "2", "name": name + "x"}]}))
    assert [image.id for image in client_of(services).desktop_images.list("b1g", name=name)] == ["1"]
    condition = services.request.url.params["filter"]
    assert condition.startswith("name=")
    assert json.loads(condition.removeprefix("name=")) == name


def test_quotes_in_a_name_cannot_end_the_filter() -> None:
    services = Services(answer({}))
    assert not list(client_of(services).desktop_images.list("b1g", name='a" OR \\ name="b'))
    assert services.request.url.params["filter"] == r'name="a\" OR \\ name=\"b"'


def test_a_name_and_a_filter_do_not_go_together() -> None:
    with pytest.raises(InvalidRequestError, match="filter and name"):
        client_of(Services()).desktop_images.list("b1g", name="n", filter="x")


def test_pages_without_end_are_an_error() -> None:
    again = [answer({"desktopImages": [], "nextPageToken": token}) for token in ("a", "b", "a")]
    with pytest.raises(BadAnswerError, match="page token that it gave before"):
        list(client_of(Services(*again)).desktop_images.list("b1g"))


def test_pages_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_desktop.services.PAGES", 3)
    more = [answer({"nextPageToken": str(number)}) for number in range(3)]
    with pytest.raises(BadAnswerError, match="3th page"):
        list(client_of(Services(*more)).compute_images.list("b1g"))


@pytest.mark.parametrize(
    "page", [{"desktopImages": {"id": "1"}}, {"nextPageToken": 5}, {"desktopImages": ["x"]}, {"desktopImages": [{}]}]
)
def test_a_page_of_another_shape_is_a_bad_answer(page: dict[str, Any]) -> None:
    with pytest.raises(BadAnswerError):
        list(client_of(Services(answer(page))).desktop_images.list("b1g"))


def test_operations_are_read_from_their_own_service_without_a_version() -> None:
    services = Services(answer(OPERATION | {"done": True, "response": {}}, X_Operation_Poll_Interval="12"))
    operation = client_of(services).operations.get("op")
    assert str(services.request.url) == "http://operation.test/operations/op"
    assert (operation.done, operation.response, operation.poll_after) == (True, {}, 12.0)
    assert client_of(Services(answer(OPERATION | {"pollAfter": 5}))).operations.get("op").poll_after is None
    assert client_of(Services(answer(OPERATION, Retry_After="7"))).operations.get("op").poll_after == 7.0


def test_cancel_is_a_post_sent_once() -> None:
    services = Services(answer(OPERATION))
    assert isinstance(client_of(services).operations.cancel("op"), Operation)
    assert (services.request.method, services.request.url.path) == ("POST", "/operations/op:cancel")
    with pytest.raises(TransportError):
        client_of(Services(httpx.ConnectError("x"))).operations.cancel("op")
    with pytest.raises(NotFoundError):
        client_of(Services(refusal(5, 404))).operations.cancel("op")


@pytest.mark.parametrize("first", [httpx.Response(405), refusal(12, 501)])
def test_cancel_is_a_get_where_there_is_no_post(first: httpx.Response) -> None:
    services = Services(first, answer(OPERATION))
    client_of(services).operations.cancel("op")
    assert [request.method for request in services.requests] == ["POST", "GET"]
    with pytest.raises(ApiError):
        client_of(Services(httpx.Response(405), refusal(14, 503))).operations.cancel("op")


def test_compute_images() -> None:
    services = Services(
        answer({"id": "fd8", "status": "READY"}),
        answer({"images": [{"id": "a"}, {"id": "b"}]}),
        answer({"id": "newest", "family": "win11"}),
    )
    images = client_of(services).compute_images
    assert images.get("fd8").status == "READY"
    assert [image.id for image in images.list("b1g", filter='family="x"', order_by="id")] == ["a", "b"]
    assert images.latest_by_family("b1g", "win11").id == "newest"
    assert [str(request.url).partition("?")[0] for request in services.requests] == [
        "http://compute.test/compute/v1/images/fd8",
        "http://compute.test/compute/v1/images",
        "http://compute.test/compute/v1/images:latestByFamily",
    ]
    assert dict(services.requests[2].url.params) == {"folderId": "b1g", "family": "win11"}


def test_quotas() -> None:
    services = Services(answer({"quotaId": "vdi.desktopImages.count", "limit": 8, "usage": 2.0}))
    quota = client_of(services).quotas.get("vdi.desktopImages.count", cloud_id="b1cloud")
    assert quota == QuotaLimit(quota_id="vdi.desktopImages.count", limit=8.0, usage=2.0)
    assert services.request.url.path == "/quota-manager/v1/quotaLimits/vdi.desktopImages.count"
    assert dict(services.request.url.params) == {"resource.id": "b1cloud", "resource.type": "resource-manager.cloud"}


@pytest.mark.parametrize("odd", ["a/b", "../x", "a?b", "a#b", "a b", "a%2fb", "é", ":copy", "\n"])
def test_an_id_stays_one_segment_of_the_path(odd: str) -> None:
    services = Services(*[answer(OPERATION) for _ in range(5)])
    client = client_of(services)
    client.desktop_images.get(odd)
    client.desktop_images.delete(odd)
    client.operations.get(odd)
    client.compute_images.get(odd)
    client.quotas.get(odd, cloud_id="c")
    for request in services.requests:
        tail = request.url.raw_path.decode().partition("?")[0].rpartition("/")[2]
        assert tail not in {"images", "operations"}
        assert httpx.URL(f"http://x/{tail}").path == f"/{odd}"
        assert not set(tail) & set("/?# :\n")


Use = Callable[[YandexCloud], object]


def copy_with(**changes: Any) -> Use:
    fields: dict[str, Any] = {"folder_id": "b1g", "name": "n", "image_id": "fd8", **changes}
    return lambda client: client.desktop_images.copy(**fields)


@pytest.mark.parametrize(
    ("use", "field", "actual", "limit"),
    [
        (copy_with(folder_id="f" * 51), "folderId", 51, 50),
        (copy_with(folder_id=""), "folderId", 0, 50),
        (copy_with(folder_id=None), "folderId", None, None),
        (copy_with(name="n" * 51), "name", 51, 50),
        (copy_with(name=""), "name", 0, 50),
        (copy_with(name="half \ud800"), "name", None, None),
        (copy_with(image_id="i" * 51), "imageId", 51, 50),
        (copy_with(description="d" * 1025), "description", 1025, 1024),
        (copy_with(labels={f"k{number}": "" for number in range(65)}), "labels", 65, 64),
        (copy_with(labels={"k" * 64: ""}), "labels", 64, 63),
        (copy_with(labels={"k": "v" * 64}), "labels", 64, 63),
        (copy_with(labels={"": "v"}), "labels", None, None),
        (copy_with(labels={"Key": "v"}), "labels", None, None),
        (copy_with(labels={"k.x": "v"}), "labels", None, None),
        (copy_with(labels={"k": "Value"}), "labels", None, None),
        (copy_with(labels={"k": "v\n"}), "labels", None, None),
        (copy_with(labels={"k": 5}), "labels", None, None),
        (copy_with(idempotency_key="not-a-uuid"), "Idempotency-Key", None, None),
        (lambda client: client.desktop_images.copy_from_desktop(desktop_id=""), "desktopId", 0, 50),
        (lambda client: client.desktop_images.copy_from_desktop(desktop_id="d", folder_id=""), "folderId", 0, 50),
        (lambda client: client.desktop_images.copy_from_desktop(desktop_id="d", name="n" * 51), "name", 51, 50),
        (lambda client: client.desktop_images.update("e3v"), "updateMask", None, None),
        (lambda client: client.desktop_images.update("e3v", name=""), "name", 0, 50),
        (lambda client: client.desktop_images.get(""), "imageId", 0, 50),
        (lambda client: client.desktop_images.get(".."), "imageId", None, None),
        (lambda client: client.desktop_images.delete("i" * 51), "imageId", 51, 50),
        (lambda client: client.desktop_images.list(""), "folderId", 0, 50),
        (lambda client: client.desktop_images.list("b1g", name=""), "name", 0, 50),
        (lambda client: client.desktop_images.list("b1g", filter="f" * 1001), "filter", 1001, 1000),
        (lambda client: client.desktop_images.list("b1g", order_by="o" * 101), "orderBy", 101, 100),
        (lambda client: client.desktop_images.list("b1g", page_size=1001), "pageSize", 1001, 1000),
        (lambda client: client.desktop_images.list("b1g", page_size=0), "pageSize", 0, 1000),
        (lambda client: client.compute_images.list("f" * 51), "folderId", 51, 50),
        (lambda client: client.compute_images.get("."), "imageId", None, None),
        (lambda client: client.compute_images.latest_by_family("b1g", "f" * 64), "family", 64, 63),
        (lambda client: client.operations.get(""), "operationId", 0, None),
        (lambda client: client.operations.cancel(".."), "operationId", None, None),
        (lambda client: client.quotas.get("", cloud_id="c"), "quotaId", 0, None),
        (lambda client: client.quotas.get("q", cloud_id=""), "resource.id", 0, None),
    ],
)
def test_limits_are_checked_before_anything_is_sent(
    use: Use, field: str, actual: int | None, limit: int | None
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        use(client_of(Services()))
    assert str(caught.value).startswith(field)
    assert (caught.value.field, caught.value.actual, caught.value.limit) == (field, actual, limit)
    if limit is not None and actual:
        assert str(actual) in str(caught.value)
        assert str(limit) in str(caught.value)


def test_the_limits_themselves_are_allowed() -> None:
    services = Services(answer(OPERATION))
    labels = {"k" + "-_0" * 20 + f"{number:02}": "0_-" * 21 for number in range(64)}
    client_of(services).desktop_images.copy(
        folder_id="f" * 50, name="Ж" * 50, image_id="i" * 50, labels=labels, description="d" * 1024
    )
    assert services.sent["labels"] == labels
