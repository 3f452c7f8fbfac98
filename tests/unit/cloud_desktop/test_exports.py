from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cloud_desktop

PACKAGE = Path(cloud_desktop.__file__).parent


def test_the_public_surface_is_sorted_and_importable() -> None:
    names = cloud_desktop.__all__
    classes, functions = [n for n in names if n[0].isupper()], [n for n in names if n[0].islower()]
    assert names == sorted(classes) + sorted(functions)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(cloud_desktop, name).__module__.startswith("cloud_desktop.")


def test_every_error_is_public() -> None:
    def tree(error: type[BaseException]) -> set[str]:
        return {error.__name__}.union(*(tree(child) for child in error.__subclasses__()))

    assert tree(cloud_desktop.CloudDesktopError) <= set(cloud_desktop.__all__)


def test_importing_the_package_loads_no_cryptography_and_no_aws() -> None:
    code = "import sys, cloud_desktop; print(*sorted({'jwt', 'cryptography', 'boto3', 'botocore'} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == ""


def test_one_module_knows_httpx() -> None:
    knowing = [path.name for path in PACKAGE.glob("*.py") if "import httpx" in path.read_text(encoding="utf-8")]
    assert knowing == ["wire.py"]
