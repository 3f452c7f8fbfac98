"""schemathesis against the API, on both clouds: made-up requests, valid and not, and every check on the answers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from local.emulator.http import EmulatorServer
from local.emulator.world import World
from local.host import LocalHost
from tests.rig.aws import Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.fuzzing import ROOT, fuzz
from tests.rig.pipeline import SOURCE, policy_json
from tests.rig.schemathesis_hooks import IMAGES

POLICY = policy_json(cleanup="apply", quota={"images": 1000})


def add_images(world: World) -> None:
    for image_id in IMAGES:
        world.add_compute_image(folder_id=SOURCE, name="win11", family="win11-office", image_id=image_id)


def test_on_aws_behind_the_local_host(tmp_path: Path) -> None:
    world = World(copy_seconds=0, delete_seconds=0, quota_images=1000)
    add_images(world)
    services = ("CloudDesktopUrl", "ComputeUrl", "OperationUrl", "IamUrl", "TokenExchangeUrl", "QuotaUrl")
    key = json.dumps(world.issue_service_account_key())
    with EmulatorServer(world) as emulator:
        host = LocalHost(
            template=ROOT / "template.yaml",
            parameters={
                **dict.fromkeys(services, emulator.url),
                "ImagePolicy": POLICY,
                "ServiceAccountKeySecret": "yandex-key",
            },
            secrets={"yandex-key": key},
        )
        # An HTTP API answers 404 itself to a method that no route takes, so the function is not asked and no code here
        # could make it the 405 that `unsupported_method` wants. The other test makes that check.
        with host:
            fuzz(host.api_url, tmp_path, "--exclude-checks", "unsupported_method", examples=10)
            faults = [line for name in host.functions for line in host.logs(name) if '"level":"ERROR"' in line]
    assert not faults


def test_on_yandex_behind_an_api_gateway(aws: Aws, tmp_path: Path) -> None:
    with deployed(aws, platform="yandex", policy=POLICY) as functions, gateway(functions) as url:
        add_images(functions.world)
        fuzz(url, tmp_path, examples=5)


@contextmanager
def gateway(functions: Deployed) -> Iterator[str]:
    """A Yandex API gateway on loopback, which hands every path of a function to it, whatever the method."""
    by_path = {"images:copy": "copy", "sweep": "copy", "copies": "poll", "operations": "poll", "cleanup": "cleanup"}
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

        def _answer(self) -> None:
            event = self._event()
            path = unquote(event["url"].partition("?")[0])
            function = "cleanup" if path.endswith("/pin") else by_path.get(path.split("/")[1], "poll")
            with one_at_a_time:
                given = functions.invoke(function, event)
            content = given["body"].encode()
            self.send_response(given["statusCode"])
            for name, value in given["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _event(self) -> dict[str, Any]:
            """Format 0.1."""
            query = parse_qs(self.path.partition("?")[2], keep_blank_values=True)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return {
                "url": self.path,
                "path": "/{proxy+}",
                "httpMethod": self.command,
                "headers": dict(self.headers.items()),
                "queryStringParameters": {name: values[-1] for name, values in query.items()},
                "multiValueQueryStringParameters": query,
                "requestContext": {"httpMethod": self.command, "requestId": "r"},
                "body": base64.b64encode(body).decode(),
                "isBase64Encoded": True,
            }

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
