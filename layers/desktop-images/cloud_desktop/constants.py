"""Every number, header and path prefix of the client, each with its unit and the source of the fact."""

from __future__ import annotations

from typing import Final

# Environment names (design.md, section 5).
REGION_VARIABLE: Final = "YC_REGION"
TOKEN_VARIABLE: Final = "YC_TOKEN"  # noqa: S105 - the name of a setting, not a secret
KEY_FILE_VARIABLE: Final = "YC_SERVICE_ACCOUNT_KEY_FILE"
KEY_SECRET_VARIABLE: Final = "YC_SERVICE_ACCOUNT_KEY_SECRET"  # noqa: S105
SERVICE_ACCOUNT_VARIABLE: Final = "YC_SERVICE_ACCOUNT_ID"
METADATA_VARIABLE: Final = "YC_METADATA_ADDR"

# Limits of the Cloud Desktop API, in characters (yandex/cloud/clouddesktop/v1/desktop_image_service.proto).
ID_LENGTH: Final = 50
NAME_LENGTH: Final = 50
DESCRIPTION_LENGTH: Final = 1024
FILTER_LENGTH: Final = 1000
ORDER_BY_LENGTH: Final = 100
PAGE_SIZE: Final = 1000
LABEL_COUNT: Final = 64
LABEL_LENGTH: Final = 63
LABEL_KEY_PATTERN: Final = r"[a-z][-_0-9a-z]*"
LABEL_VALUE_PATTERN: Final = r"[-_0-9a-z]*"
FAMILY_LENGTH: Final = 63  # yandex/cloud/compute/v1/image_service.proto

# A million images is far above any quota; more pages than this is a server that never ends its list.
PAGES: Final = 1000

# Timeouts in seconds. One attempt as a whole may take ATTEMPT_SECONDS, however slowly the answer drips in.
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
WRITE_SECONDS: Final = 10.0
POOL_SECONDS: Final = 5.0
ATTEMPT_SECONDS: Final = 30.0
METADATA_SECONDS: Final = 1.0  # what Yandex's own SDK allows the metadata service
USEFUL_SECONDS: Final = 0.5  # with less than this left, a call is not started

# Retries. Yandex's SDKs and `yc` make 4 to 5 attempts.
ATTEMPTS: Final = 4
BACKOFF_SECONDS: Final = 0.5
BACKOFF_LONGEST_SECONDS: Final = 8.0
RETRIES_SECONDS: Final = 30.0  # no new attempt starts later than this after the first
RETRY_AFTER_OBEYED_SECONDS: Final = 10.0  # a longer wish is handed to the caller
RETRY_AFTER_LONGEST_SECONDS: Final = 86_400.0  # what a server may wish for at most; more is read as this

ANSWER_BYTES: Final = 32 * 1024 * 1024  # 1000 images with 64 full labels each are about 10 MB
KEEPALIVE_SECONDS: Final = 60.0
CONNECTIONS: Final = 8
EXCERPT_LENGTH: Final = 120
DETAIL_DEPTH: Final = 32  # details nested deeper than this are dropped
MESSAGE_LENGTH: Final = 2000
REQUEST_ID_LENGTH: Final = 128

# Tokens, in seconds (IAM documentation: at most 12 h; "request a fresh one more often, for example every hour").
TOKEN_AGE_SECONDS: Final = 3600.0
TOKEN_MARGIN_SECONDS: Final = 300.0
TOKEN_UNKNOWN_LIFETIME_SECONDS: Final = 600.0
TOKEN_LONGEST_LIFETIME_SECONDS: Final = 43_200.0
TOKEN_REFRESH_PAUSE_SECONDS: Final = 60.0
JWT_SECONDS: Final = 3600  # exp - iat, the most IAM accepts
KEY_FILE_BYTES: Final = 64 * 1024

USER_AGENT: Final = "desktop-image-copy/0.1"
REQUEST_ID_HEADER: Final = "X-Request-Id"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
REQUEST_ID_HEADERS: Final = ("x-request-id", "x-server-request-id", "x-server-trace-id")
RETRY_AFTER_HEADER: Final = "retry-after"
POLL_INTERVAL_HEADER: Final = "x-operation-poll-interval"
METADATA_HEADERS: Final = {"Metadata-Flavor": "Google"}

CLOUD_DESKTOP_PATH: Final = "/cloud-desktop/v1/images"
COMPUTE_PATH: Final = "/compute/v1/images"
OPERATION_PATH: Final = "/operations"
TOKEN_PATH: Final = "/iam/v1/tokens"  # noqa: S105
TOKEN_EXCHANGE_PATH: Final = "/oauth/token"  # noqa: S105
QUOTA_PATH: Final = "/quota-manager/v1/quotaLimits"
METADATA_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"
METADATA_ADDRESS: Final = "169.254.169.254"
CLOUD_RESOURCE_TYPE: Final = "resource-manager.cloud"
