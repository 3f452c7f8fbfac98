"""Logs and metrics: Powertools on both clouds, with constant event names and fields, never a whole event or context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from cloud_desktop import CloudDesktopError
from image_pipeline.copies import Copy

if TYPE_CHECKING:
    from aws_lambda_powertools.logging.types import LogRecord

NAMESPACE = "DesktopImages"
_EXPECTED = (CloudDesktopError, ClientError, BotoCoreError)
_CLOUD_LOGGING_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
LONGEST_LINE = 64 * 1024
"""Bytes; Cloud Logging splits a longer line and reads its parts as text."""
_LONGEST_CUT = 500


class CloudLoggingFormatter(LambdaPowertoolsFormatter):
    """Lines that Cloud Logging takes apart: a level of its own names and a `message`, the rest as `json_payload`.

    Source: the page "Function logs" of the Cloud Functions documentation, "Structured logs".
    """

    def serialize(self, log: LogRecord) -> str:
        """Return the line; in one that would be too long, long values are cut."""
        record: dict[str, Any] = dict(log)
        record["level"] = _CLOUD_LOGGING_LEVELS.get(record["level"], record["level"])
        line: str = self.json_serializer(record)
        if len(line.encode()) > LONGEST_LINE:
            cut = {key: f"{value!s:.{_LONGEST_CUT}}" for key, value in record.items() if len(str(value)) > _LONGEST_CUT}
            line = self.json_serializer({**record, **cut})
        return line


class Telemetry:
    """What the pipeline says of itself.

    On AWS, metrics leave in the embedded metric format when the invocation ends; elsewhere each is a log line with its
    name and value, since nothing there reads that format.
    """

    def __init__(self, platform: Literal["aws", "yandex"] = "aws") -> None:
        service = os.environ.get("POWERTOOLS_SERVICE_NAME") or "desktop-images"
        formatter = CloudLoggingFormatter() if platform == "yandex" else None
        self.logger = Logger(service=service, logger_formatter=formatter)
        self._metrics = (
            Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE, service=service)
            if platform == "aws"
            else None
        )

    def log(self, event: str, **fields: object) -> None:
        """Write one line of level INFO: a constant name and its fields."""
        self.logger.info(event, extra=fields)

    def warn(self, event: str, **fields: object) -> None:
        """Write one line of level WARNING."""
        self.logger.warning(event, extra=fields)

    def fail(self, event: str, error: Exception, **fields: object) -> None:
        """Write one line of level ERROR with the error's type and sentence; a trace only where nobody expected it."""
        expected = isinstance(error, _EXPECTED) or type(error).__module__.startswith("image_pipeline")
        self.logger.error(
            event,
            exc_info=None if expected else error,
            extra={"error_type": type(error).__name__, "error": str(error), **fields},
        )

    def log_copy(self, event: str, copy: Copy, **fields: object) -> None:
        """Write one line about a copy, with the id that ties all lines of the copy together."""
        self.log(
            event,
            correlation_id=copy.correlation_id,
            state=copy.state.value,
            reason=copy.reason,
            route=copy.route,
            image_name=copy.name,
            generation=copy.generation,
            seq=copy.seq,
            operation_id=copy.operation_id,
            desktop_image_id=copy.desktop_image_id,
            **fields,
        )

    def measure(self, metric: str, value: float = 1) -> None:
        """Add to a metric; a name that ends in Seconds is a duration, every other one a count."""
        if self._metrics is None:
            self.log("metric", metric=metric, value=value)
            return
        unit = MetricUnit.Seconds if metric.endswith("Seconds") else MetricUnit.Count
        self._metrics.add_metric(name=metric, unit=unit, value=value)

    def hush(self) -> None:
        """Log nothing and keep no metrics: whoever asked for this sees the errors themselves."""
        self.logger.setLevel("CRITICAL")
        self._metrics = None

    def flush(self) -> None:
        """Write the metrics gathered since the last flush, if there are any."""
        if self._metrics is not None and self._metrics.metric_set:
            self._metrics.flush_metrics()

    def begin(self, **keys: Any) -> None:
        """Put the keys, and only them, on every log line until the next call."""
        self.logger.clear_state()
        self.logger.append_keys(**keys)
