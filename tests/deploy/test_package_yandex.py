"""The archives for Yandex Cloud Functions, built for the interpreter at hand through the packer's own code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deploy.conftest import ROOT, install_little, install_what_is_here

FUNCTIONS = ("cleanup", "copy-on-new-compute-image", "poll-operation")
BUDGET = 12 * 1024 * 1024
"""Bytes of one archive; 10.1 million when this was written, 4.6 million of them cryptography."""

# Runs where only the unpacked archive and the standard library can be imported.
PROBE = """
import json, os, sys
root, *names = sys.argv[1:]
sys.path.insert(0, root)

class Context:
    aws_request_id = "r-1"
    token = {"access_token": "t1.probe", "expires_in": 43200}
    get_remaining_time_in_millis = staticmethod(lambda: 60000)

call = {"httpMethod": "GET", "headers": {}, "queryStringParameters": {"path": "/nowhere"}, "body": "",
        "requestContext": {"identity": {}, "httpMethod": "GET", "requestId": "r-1"}, "isBase64Encoded": False}
answers = [__import__(name).handler(call, Context()) for name in names]

import boto3, jwt
from botocore.exceptions import UnknownServiceError
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
session = boto3.session.Session(region_name="ru-central1")
for service in ("dynamodb", "s3", "sqs"):
    session.client(service)
try:
    session.client("sns")
except UnknownServiceError:
    unknown = True
signed = jwt.encode({"iss": "aje"}, generate_private_key(65537, 2048), algorithm="PS256")
files = {getattr(module, "__file__", None) or root for module in list(sys.modules.values())}
stdlib = os.path.dirname(os.__file__)
statuses = [answer["statusCode"] for answer in answers]
print(json.dumps({"status": statuses, "unknown": unknown, "signed": signed.count("."),
                  "foreign": [file for file in files if not file.startswith((root, stdlib)) and file[0] == "/"]}))
"""
ENVIRONMENT = {
    "PLATFORM": "yandex",
    "POLL_QUEUE_URL": "https://message-queue.api.cloud.yandex.net/b1g/dj6/poll",
    "COPIES_TABLE": "copies",
    "IMAGE_POLICY": "s3://bucket/policy.json",
    "AWS_REGION": "ru-central1",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://docapi.serverless.yandexcloud.net/ru-central1/b1g/etn",
    "AWS_ENDPOINT_URL_S3": "https://storage.yandexcloud.net",
    "AWS_ENDPOINT_URL_SQS": "https://message-queue.api.cloud.yandex.net",
    "AWS_ACCESS_KEY_ID": "YCA-id",
    "AWS_SECRET_ACCESS_KEY": "YCA-secret",
}


def manifest_of(directory: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def names(directory: Path, function: str) -> list[str]:
    with zipfile.ZipFile(directory / f"{function}.zip") as archive:
        return archive.namelist()


def install_some(runtime: Any, into: Path) -> None:
    install_what_is_here(runtime, into, {"boto3", "botocore", "six", "typing-extensions"})


def test_building_again_gives_the_same_bytes(package: ModuleType, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    package.build_yandex(first, package.YANDEX, install_some)
    (second / "cleanup.zip").parent.mkdir()
    (second / "cleanup.zip").write_text("of an earlier build")
    package.build_yandex(second, package.YANDEX, install_some)
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in second.iterdir())
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_the_manifest_says_what_lies_beside_it(built: Path) -> None:
    manifest = manifest_of(built)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert manifest["python"] == version
    assert manifest["runtime"] == f"python{version.replace('.', '')}"
    assert manifest["botocoreServices"] == ["dynamodb", "s3", "sqs"]
    assert tuple(manifest["functions"]) == FUNCTIONS
    for name, described in manifest["functions"].items():
        archive = built / described["file"]
        content = archive.read_bytes()
        assert described["sha256"] == hashlib.sha256(content).hexdigest()
        assert described["bytes"] == len(content) < BUDGET
        with zipfile.ZipFile(archive) as opened:
            assert described["unpackedBytes"] == sum(entry.file_size for entry in opened.infolist())
        assert described["entryPoint"] == f"{name.replace('-', '_')}.handler"
    weights = manifest["packages"]
    assert weights["image_pipeline"]["unpackedBytes"] > weights["image_pipeline"]["bytes"] > 0
    assert list(weights.values()) == sorted(weights.values(), key=lambda weight: -weight["bytes"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_root_holds_the_handler_and_the_packages(built: Path, function: str) -> None:
    packed = names(built, function)
    modules = {name for name in packed if "/" not in name and name.endswith(".py")}
    assert modules == {f"{function.replace('-', '_')}.py", "six.py", "typing_extensions.py"}
    assert {"boto3/__init__.py", "cloud_desktop/client.py", "image_pipeline/app.py"} <= set(packed)
    own = [name for name in packed if name.startswith(("cloud_desktop/", "image_pipeline/"))]
    assert len(own) == len(list(package_files("cloud_desktop"))) + len(list(package_files("image_pipeline")))


def package_files(name: str) -> list[Path]:
    return [path for path in (ROOT / "layers" / "desktop-images" / name).rglob("*") if path.suffix in {".py", ".typed"}]


def test_nothing_is_packed_that_is_never_used(built: Path) -> None:
    packed = names(built, "cleanup")
    assert len(packed) == len(set(packed))
    for name in packed:
        parts = name.split("/")
        assert not {"__pycache__", "tests", "bin", "cffi", "pycparser", "awslambdaric", "moto"} & set(parts), name
        assert not name.endswith((".pyc", ".pyi", ".min.js", ".min.css")), name
    data = {name.split("/")[2] for name in packed if name.startswith("botocore/data/")}
    assert {name for name in data if "." not in name} == {"dynamodb", "s3", "sqs"}
    assert {name for name in data if "." in name} == {
        "_retry.json",
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }
    resources = {name.split("/")[2] for name in packed if name.startswith("boto3/data/")}
    assert resources == {"dynamodb", "s3", "sqs"}


def test_what_differs_from_lambda_are_the_services_without_a_counterpart(package: ModuleType) -> None:
    assert {"secretsmanager", "sns", "sts"} == package.AWS_SERVICES - package.YANDEX_SERVICES


def test_every_entry_has_the_same_date_and_rights_for_all(built: Path) -> None:
    with zipfile.ZipFile(built / "poll-operation.zip") as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    for entry in entries:
        assert entry.external_attr >> 16 == (0o755 if entry.filename.endswith(".so") else 0o644)
    packages = [entry.filename for entry in entries if entry.filename != "poll_operation.py"]
    assert packages == sorted(packages, key=lambda name: Path(name).parts)


def test_the_entry_points_run_from_the_archive_alone(built: Path, tmp_path: Path) -> None:
    modules = []
    for function in FUNCTIONS:
        module, attribute = manifest_of(built)["functions"][function]["entryPoint"].split(".")
        assert attribute == "handler"
        modules.append(module)
        with zipfile.ZipFile(built / f"{function}.zip") as archive:
            # Unpacked once, for all that lies beside the handlers is the same.
            archive.extractall(tmp_path, [f"{module}.py"] if function != FUNCTIONS[0] else None)
    assert len({tuple(beside_the_handler(built, function)) for function in FUNCTIONS}) == 1
    # -I and -S: neither this directory nor the environment's packages can be imported.
    command = [sys.executable, "-W", "error", "-I", "-S", "-B", "-c", PROBE, str(tmp_path), *modules]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"status": [404] * 3, "unknown": True, "signed": 2, "foreign": []}


def beside_the_handler(directory: Path, function: str) -> list[tuple[str, int]]:
    with zipfile.ZipFile(directory / f"{function}.zip") as archive:
        return [(entry.filename, entry.CRC) for entry in archive.infolist()][:-1]


@pytest.mark.parametrize(
    ("zipped", "unpacked", "message"),
    [
        (128 * 1024 * 1024 + 1, 0, r"cleanup.zip is 128.00 MB zipped, Yandex Cloud Functions takes 128.00 MB"),
        (1, 680 * 1024 * 1024 + 1, r"cleanup.zip is 680.00 MB unpacked, Yandex Cloud Functions takes 680.00 MB"),
    ],
)
def test_what_yandex_does_not_take_is_refused(
    package: ModuleType, tmp_path: Path, zipped: int, unpacked: int, message: str
) -> None:
    archive = tmp_path / "cleanup.zip"
    with archive.open("wb") as file:
        file.truncate(zipped - 1)
    package.YandexArchive("cleanup", archive, max(unpacked - 1, 0)).check_fits()
    with archive.open("ab") as file:
        file.truncate(zipped)
    with pytest.raises(package.PackagingError, match=message):
        package.YandexArchive("cleanup", archive, unpacked).check_fits()


def function_with(root: Path, *modules: str) -> Path:
    function = root / "functions" / "poll-operation"
    function.mkdir(parents=True)
    for module in modules:
        (function / module).write_text("")
    return function.parent


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (["six.py", "poll_operation.py"], "six.py has the name of a package that lies beside it in the archive"),
        (["main.py"], "poll-operation has no poll_operation.py, which its entry point is in"),
    ],
)
def test_an_archive_that_could_not_run_is_refused(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: list[str], message: str
) -> None:
    monkeypatch.setattr(package, "FUNCTIONS", function_with(tmp_path, *modules))
    with pytest.raises(package.PackagingError, match=message):
        package.build_yandex(tmp_path / "dist", package.YANDEX, install_little)
    assert not (tmp_path / "dist" / "manifest.json").exists()


def test_a_small_archive_says_nothing_of_buckets(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package, "FUNCTIONS", function_with(tmp_path, "poll_operation.py"))
    package.build_yandex(tmp_path / "dist", package.YANDEX, install_little)
    small = capsys.readouterr().out
    assert "image_pipeline" in small
    assert "poll-operation.zip" in small
    assert "bucket" not in small
    monkeypatch.setattr(package, "YANDEX_DIRECT_LIMIT", 1)
    package.build_yandex(tmp_path / "dist", package.YANDEX, install_little)
    assert capsys.readouterr().out.startswith(small.splitlines()[0])
    assert manifest_of(tmp_path / "dist")["runtime"] == "python312"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stand-in for uv, which always fails, writes what it was asked."""
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$ASKED"\nexit 2\n')
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["--python-version", "3.12", "--python-platform", "x86_64-manylinux2014"]),
        (["--here"], ["--python-version", f"{sys.version_info.major}.{sys.version_info.minor}"]),
    ],
)
def test_wheels_are_chosen_for_the_runtime_and_verified(
    package: ModuleType, asked: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
) -> None:
    output = asked.parent / "dist"
    assert package.main(["yandex", str(output), *options]) == 1
    assert capsys.readouterr().err.startswith(f"uv could not install the layer's packages for Python {expected[1]} on ")
    arguments = asked.read_text().splitlines()
    assert arguments[arguments.index("--python-version") : arguments.index("--only-binary")] == expected
    assert {"--require-hashes", "--no-compile-bytecode", ":all:"} <= set(arguments)
    assert list(output.iterdir()) == []


def test_make_knows_the_target() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "package-yandex", "UV=uv", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=True,
    )
    assert f"UV=uv {sys.executable} deploy/package.py yandex dist/yandex" in done.stdout
