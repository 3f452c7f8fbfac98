"""A typed, synchronous client of the Yandex Cloud APIs that copying a desktop image needs.

It knows no AWS and no pipeline. Start at `YandexCloud`; every failure is a `CloudDesktopError` with a `next_step`.
"""

from cloud_desktop.endpoints import Endpoints
from cloud_desktop.errors import (
    AlreadyExistsError,
    ApiError,
    BadAnswerError,
    CloudDesktopError,
    Code,
    ConfigurationError,
    CredentialsError,
    InvalidRequestError,
    NextStep,
    NotFoundError,
    OutOfTimeError,
    TransportError,
    UnauthenticatedError,
    classify,
)
from cloud_desktop.models import (
    ComputeImage,
    ComputeImageStatus,
    DesktopImage,
    DesktopImageStatus,
    OperatingSystem,
    Operation,
    QuotaLimit,
    Status,
)

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "BadAnswerError",
    "CloudDesktopError",
    "Code",
    "ComputeImage",
    "ComputeImageStatus",
    "ConfigurationError",
    "CredentialsError",
    "DesktopImage",
    "DesktopImageStatus",
    "Endpoints",
    "InvalidRequestError",
    "NextStep",
    "NotFoundError",
    "OperatingSystem",
    "Operation",
    "OutOfTimeError",
    "QuotaLimit",
    "Status",
    "TransportError",
    "UnauthenticatedError",
    "classify",
]
