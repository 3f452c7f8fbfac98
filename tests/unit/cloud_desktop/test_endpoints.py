from __future__ import annotations

from dataclasses import fields

import pytest

from cloud_desktop.endpoints import REGIONS, Endpoints, parse_origin
from cloud_desktop.errors import ConfigurationError


def test_the_default_region_is_that_of_the_first_document() -> None:
    endpoints = Endpoints.from_environment({})
    assert endpoints.cloud_desktop == "https://cloud-desktop.api.yandexcloud.kz"
    assert endpoints == Endpoints.from_environment({"YC_REGION": "", "YC_IAM_URL": ""}) == REGIONS["kz1"]


def test_the_other_region() -> None:
    endpoints = Endpoints.from_environment({"YC_REGION": "ru-central1"})
    assert endpoints.cloud_desktop == "https://clouddesktops.api.cloud.yandex.net"
    assert endpoints.token_exchange == "https://auth.yandex.cloud"


def test_every_service_can_be_replaced_alone() -> None:
    for field in fields(Endpoints):
        variable = f"YC_{field.name.upper()}_URL"
        endpoints = Endpoints.from_environment({variable: "http://127.0.0.1:8080/"})
        assert getattr(endpoints, field.name) == "http://127.0.0.1:8080"
        assert (
            sum(getattr(endpoints, other.name) != getattr(REGIONS["kz1"], other.name) for other in fields(Endpoints))
            == 1
        )


def test_an_unknown_region_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"YC_REGION is 'mars'; it must be one of kz1, ru-central1") as caught:
        Endpoints.from_environment({"YC_REGION": "mars"})
    assert caught.value.variable == "YC_REGION"


@pytest.mark.parametrize(
    "value",
    [
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://:8080",
        "http://host:99999",
        "http://host:0",
        "http://host:port",
        "http://[::1",
        "https://host/cloud-desktop/v1",
        "https://host/?x=1",
        "https://host/#x",
        "https://user:hunter2@host",
        "https://user@host",
        "https://ho st",
        " https://host",
        "https://host\n",
        "https://host\\x",
    ],
)
def test_what_is_no_origin_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^YC_IAM_URL .* it must be an origin such as") as caught:
        Endpoints.from_environment({"YC_IAM_URL": value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["http://emulator:8080", "https://[::1]:8443", "https://host"])
def test_an_origin_is_taken_as_it_is(value: str) -> None:
    assert parse_origin("X", value) == value
