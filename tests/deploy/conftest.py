"""The packer, and what it makes of the packages that are installed here: no index is asked."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deploy.configuration import Configuration

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "layers" / "desktop-images" / "requirements.txt"
DESCRIBED = {"dynamodb", "ec2", "s3", "secretsmanager", "sns", "sqs", "sts"}
"""Services of botocore that are there before trimming, out of four hundred: enough to see some go, and quick."""


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """The script, which is no module of a package because SAM runs it by its path."""
    spec = importlib.util.spec_from_file_location("deploy_package_script", ROOT / "deploy" / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def install_what_is_here(runtime: Any, into: Path, names: set[str] | None = None) -> None:
    """Stand in for uv: copy the layer's locked packages, or some, out of the environment that the tests run in."""
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE):
        if names is not None and name not in names:
            continue
        found = distribution(name)
        assert found.version == version, f"{name} {found.version} is installed, {version} is locked; run `make setup`"
        for file in found.files or ():
            left_out = file.match("botocore/data/*/*/*") and file.parts[2] not in DESCRIBED
            if ".." not in file.parts and not left_out:
                target = into / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)


def install_little(runtime: Any, into: Path) -> None:
    """Stand in for uv where only the shape of the result matters."""
    for service in ("boto3/data/s3", "botocore/data/s3"):
        (into / service).mkdir(parents=True)
    (into / "six.py").write_text("")


@pytest.fixture(scope="session")
def built(package: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make package-yandex` fills, for this interpreter."""
    output = tmp_path_factory.mktemp("yandex")
    package.build_yandex(output, package.YANDEX_HERE, install_what_is_here)
    return output


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    return Configuration(ROOT / "deploy" / "yandex")
