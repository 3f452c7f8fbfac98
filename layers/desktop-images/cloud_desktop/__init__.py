"""A typed, synchronous client of the Yandex Cloud APIs that copying a desktop image needs.

It knows no AWS and no pipeline. Start at `YandexCloud`; every failure is a `CloudDesktopError` with a `next_step`.
"""

from cloud_desktop.authorized_key import AuthorizedKey, AuthorizedKeyFromSecret
from cloud_desktop.client import YandexCloud
from cloud_desktop.credentials import ExchangedToken, FunctionContextToken, MetadataToken, token_source
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
from cloud_desktop.tokens import CachedToken, IamToken, StaticToken, TokenSource

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "AuthorizedKey",
    "AuthorizedKeyFromSecret",
    "BadAnswerError",
    "CachedToken",
    "CloudDesktopError",
    "Code",
    "ComputeImage",
    "ComputeImageStatus",
    "ConfigurationError",
    "CredentialsError",
    "DesktopImage",
    "DesktopImageStatus",
    "Endpoints",
    "ExchangedToken",
    "FunctionContextToken",
    "IamToken",
    "InvalidRequestError",
    "MetadataToken",
    "NextStep",
    "NotFoundError",
    "OperatingSystem",
    "Operation",
    "OutOfTimeError",
    "QuotaLimit",
    "StaticToken",
    "Status",
    "TokenSource",
    "TransportError",
    "UnauthenticatedError",
    "YandexCloud",
    "classify",
    "token_source",
]
