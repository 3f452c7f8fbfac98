"""The packer's own rules; `make build` runs it for real, which needs a package index."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.template.conftest import ROOT


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """The script, which is no module of a package because SAM runs it by its path."""
    spec = importlib.util.spec_from_file_location("deploy_package", ROOT / "deploy" / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_trimming_keeps_what_is_imported_and_what_scanners_read(package: ModuleType, tmp_path: Path) -> None:
    kept = [
        "boto3/data/dynamodb/2012-08-10/resources-1.json",
        "botocore/data/endpoints.json",
        "botocore/data/partitions.json",
        "botocore/data/sqs/2012-11-05/service-2.json.gz",
        "botocore/data/sts/2011-06-15/service-2.json.gz",
        "cryptography/hazmat/bindings/_rust.abi3.so",
        "pydantic-2.dist-info/METADATA",
        "pydantic/main.py",
    ]
    gone = [
        ".lock",
        "bin/jp.py",
        "boto3/data/ec2/2016-11-15/resources-1.json",
        "boto3/examples/s3.rst",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "pydantic-2.dist-info/RECORD",
        "pydantic-2.dist-info/licenses/LICENSE",
        "pydantic/__pycache__/main.cpython-313.pyc",
        "pydantic/main.pyi",
        "somewhere/tests/test_x.py",
    ]
    write(tmp_path, *kept, *gone)
    package.trim(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == kept


def test_the_services_kept_are_those_the_layer_calls(package: ModuleType) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "layers").rglob("*.py"))
    assert set(re.findall(r'client\("([a-z0-9]+)"\)', code)) == package.AWS_SERVICES


def test_the_same_contents_give_the_same_bytes(package: ModuleType, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, "b.py", "a/c.py", "lib.so")
    write(second, "lib.so", "a/c.py", "b.py", "a/__pycache__/c.pyc")
    os.utime(second / "b.py", (1, 1))
    (second / "b.py").chmod(0o600)
    archives = [tmp_path / "first.zip", tmp_path / "out" / "second.zip"]
    package.pack(first, archives[0])
    package.pack(second, archives[1])
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as archive:
        assert archive.namelist() == ["a/c.py", "b.py", "lib.so"]
        # Lambda runs as another user than the one who packed.
        assert all(entry.external_attr >> 16 & stat.S_IROTH for entry in archive.infolist())


def test_what_lambda_cannot_unpack_is_refused(package: ModuleType) -> None:
    package.check_fits([package.LAMBDA_UNPACKED_LIMIT - 1, 1], "cleanup")
    message = "cleanup and its layer unpack to 250.00 MB, Lambda takes 250.00 MB; weigh"
    with pytest.raises(package.PackagingError, match=message):
        package.check_fits([package.LAMBDA_UNPACKED_LIMIT, 1], "cleanup")


def test_a_missing_uv_is_said_plainly(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    assert package.main(["layer", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "uv was not found (looked for /nowhere/uv); run `make setup`, or put uv on PATH.\n"
    )
