"""Where each service answers: the region's hosts, each replaceable by a setting.

| service        | ru-central1                              | kz1                                              |
|----------------|------------------------------------------|--------------------------------------------------|
| Cloud Desktop  | `clouddesktops.api.cloud.yandex.net`     | `cloud-desktop.api.yandexcloud.kz`               |
| Compute        | `compute.api.cloud.yandex.net`           | `compute.api.yandexcloud.kz`                     |
| Operation      | `operation.api.cloud.yandex.net`         | `operation.api.yandexcloud.kz`                   |
| IAM            | `iam.api.cloud.yandex.net`               | `iam.api.yandexcloud.kz`                         |
| token exchange | `auth.yandex.cloud`                      | `auth.yandexcloud.kz` (not documented, a guess)  |
| Quota Manager  | `quota-manager.api.cloud.yandex.net`     | `quota-manager.api.yandexcloud.kz` (a guess)     |

Cloud Desktop has two names in Yandex's own material. `clouddesktops.` is the id in the endpoint registry that the
Terraform provider resolves, and is used for ru-central1. For kz1 the only name ever published is `cloud-desktop.`, on
the page this project starts from. Where either turns out wrong, `YC_CLOUD_DESKTOP_URL` puts it right without a release.
The guesses follow the pattern of the other hosts; they matter only for keyless credentials and for quotas in kz1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cloud_desktop.constants import REGION_VARIABLE
from cloud_desktop.errors import ConfigurationError

DEFAULT_REGION: Final = "kz1"

_VARIABLES: Final[Mapping[str, str]] = {
    "cloud_desktop": "YC_CLOUD_DESKTOP_URL",
    "compute": "YC_COMPUTE_URL",
    "operation": "YC_OPERATION_URL",
    "iam": "YC_IAM_URL",
    "token_exchange": "YC_TOKEN_EXCHANGE_URL",
    "quota": "YC_QUOTA_URL",
}
_UNPRINTABLE: Final = re.compile(r"[\s\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The origin of each service: scheme, host and port, without a trailing slash."""

    cloud_desktop: str
    compute: str
    operation: str
    iam: str
    token_exchange: str
    quota: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Endpoints:
        """Take the region's hosts and put the overrides over them; an empty variable counts as not set.

        Raises:
            ConfigurationError: the region is unknown, or an override is not an origin.
        """
        region = environ.get(REGION_VARIABLE) or DEFAULT_REGION
        if (origins := REGIONS.get(region)) is None:
            raise ConfigurationError(REGION_VARIABLE, f"is {region!r}; it must be one of {', '.join(sorted(REGIONS))}")
        overrides = {
            service: parse_origin(variable, value)
            for service, variable in _VARIABLES.items()
            if (value := environ.get(variable))
        }
        return cls(**{service: overrides.get(service, getattr(origins, service)) for service in _VARIABLES})


REGIONS: Final[Mapping[str, Endpoints]] = {
    "kz1": Endpoints(
        cloud_desktop="https://cloud-desktop.api.yandexcloud.kz",
        compute="https://compute.api.yandexcloud.kz",
        operation="https://operation.api.yandexcloud.kz",
        iam="https://iam.api.yandexcloud.kz",
        token_exchange="https://auth.yandexcloud.kz",  # noqa: S106 - an address
        quota="https://quota-manager.api.yandexcloud.kz",
    ),
    "ru-central1": Endpoints(
        cloud_desktop="https://clouddesktops.api.cloud.yandex.net",
        compute="https://compute.api.cloud.yandex.net",
        operation="https://operation.api.cloud.yandex.net",
        iam="https://iam.api.cloud.yandex.net",
        token_exchange="https://auth.yandex.cloud",  # noqa: S106 - an address
        quota="https://quota-manager.api.cloud.yandex.net",
    ),
}


def parse_origin(variable: str, value: str) -> str:
    """Check that a setting is an origin, and drop its trailing slash.

    The value is not repeated in the error, since a malformed one may carry a password. Plain http is allowed: whoever
    writes it out means it, and the emulator has no certificate.

    >>> parse_origin("YC_IAM_URL", "http://127.0.0.1:8080/")
    'http://127.0.0.1:8080'

    Raises:
        ConfigurationError: the value has another scheme, no host, a path, a query, a fragment or credentials.
    """
    expected = "it must be an origin such as https://iam.api.yandexcloud.kz or http://127.0.0.1:8080"
    if _UNPRINTABLE.search(value):
        raise ConfigurationError(variable, f"has a space, a backslash or a control character in it; {expected}")
    try:
        parts = urlsplit(value)
        usable_port = parts.port is None or parts.port > 0
        host = parts.hostname
    except ValueError:
        usable_port, host = False, None
    if host is None or not usable_port or parts.scheme not in {"http", "https"}:
        raise ConfigurationError(variable, f"is not an http or https address with a host and a valid port; {expected}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(variable, f"holds credentials, which do not belong in an address; {expected}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigurationError(variable, f"has more than scheme, host and port; the paths are appended; {expected}")
    return f"{parts.scheme}://{parts.netloc}"
