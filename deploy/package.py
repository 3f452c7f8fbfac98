"""Pack what is deployed: the layer's packages with their dependencies, resolved for the cloud's Python, not for ours.

Needs Python 3.11 and uv, no container and no virtual environment: SAM calls it too (layers/desktop-images/Makefile).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER_SOURCE = ROOT / "layers" / "desktop-images"
FUNCTIONS = ROOT / "functions"
OWN_PACKAGES = ("cloud_desktop", "image_pipeline")

# Function code and all layers together, unpacked (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
LAMBDA_UNPACKED_LIMIT = 250 * 1024 * 1024

# The services the functions call; the other 400 API descriptions are two thirds of botocore.
AWS_SERVICES = frozenset({"dynamodb", "s3", "secretsmanager", "sns", "sqs", "sts"})

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class PackagingError(Exception):
    """Something needed for packing is missing or the result does not fit; the message says what to do."""


@dataclass(frozen=True)
class Runtime:
    """A function runtime: the Python and the platform its wheels are chosen for.

    Attributes:
        python: Version, as uv takes it.
        platform: uv's platform name. manylinux2014 (glibc 2.17) is older than any runtime: its wheels load on all.
    """

    python: str
    platform: str


LAMBDA = Runtime(python="3.13", platform="aarch64-manylinux2014")


def find_uv() -> str:
    """Return the uv to use: `UV`, the one on PATH, or the one that `make setup` put into .uv.

    Raises:
        PackagingError: There is none.
    """
    found = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    if shutil.which(found) is None:
        raise PackagingError(f"uv was not found (looked for {found}); run `make setup`, or put uv on PATH.")
    return found


def install_dependencies(runtime: Runtime, into: Path) -> None:
    """Install the locked dependencies, verified by hash and as wheels only, as `runtime` needs them.

    Raises:
        PackagingError: uv failed; its own message is on standard error.
    """
    command = [find_uv(), "pip", "install", "--quiet", "--target", str(into)]
    command += ["--python-version", runtime.python, "--python-platform", runtime.platform]
    command += ["--only-binary", ":all:", "--require-hashes", "--no-compile-bytecode"]
    command += ["--requirement", str(LAYER_SOURCE / "requirements.txt")]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own arguments
        raise PackagingError(f"uv could not install the layer's packages for {runtime.python} on {runtime.platform}.")


def trim(packages: Path) -> None:
    """Remove what no function needs at run time.

    Of each `*.dist-info` METADATA stays: importlib.metadata answers from it, and vulnerability scanners read it.
    """
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    for info in packages.glob("*.dist-info"):
        for entry in info.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "METADATA":
                entry.unlink()
    for data in (packages / "botocore" / "data", packages / "boto3" / "data"):
        for service in data.iterdir():
            if service.is_dir() and service.name not in AWS_SERVICES:
                shutil.rmtree(service)
    shutil.rmtree(packages / "boto3" / "examples", ignore_errors=True)
    for unneeded in [*packages.rglob("__pycache__"), *packages.rglob("tests")]:
        shutil.rmtree(unneeded, ignore_errors=True)
    for stub in packages.rglob("*.pyi"):
        stub.unlink()


def fill(packages: Path, runtime: Runtime) -> None:
    """Make `packages` an importable directory: our two packages with everything they need. Replaces what was there."""
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    install_dependencies(runtime, packages)
    trim(packages)
    for name in OWN_PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(LAYER_SOURCE / name, packages / name, ignore=ignored)


def files_below(directory: Path) -> Iterator[Path]:
    """Yield the files to pack, in an order that does not depend on the file system."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def pack(directory: Path, archive: Path) -> None:
    """Zip the contents of `directory`: the same contents give the same bytes, whatever their dates and owners."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in files_below(directory):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _ZIP_TIME)
            entry.create_system = 3
            entry.external_attr = (0o755 if path.suffix == ".so" else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, path.read_bytes(), compresslevel=9)


def unpacked_size(directory: Path) -> int:
    """Return the bytes that the files of `directory` take."""
    return sum(path.stat().st_size for path in files_below(directory))


def check_fits(sizes: Sequence[int], what: str) -> None:
    """Refuse more than Lambda unpacks.

    Args:
        sizes: Unpacked bytes of the function and of each of its layers.
        what: Which function, for the message.

    Raises:
        PackagingError: They are larger than the limit together.
    """
    if sum(sizes) > LAMBDA_UNPACKED_LIMIT:
        raise PackagingError(
            f"{what} and its layer unpack to {_size(sum(sizes))}, Lambda takes "
            f"{_size(LAMBDA_UNPACKED_LIMIT)}; weigh the layer's dependencies in pyproject.toml again."
        )


def build(output: Path) -> None:
    """Build the layer and the functions into `output` as zip files, and say how large they are.

    Raises:
        PackagingError: Something is missing or too large for Lambda.
    """
    fill(output / "layer" / "python", LAMBDA)
    layer_size = unpacked_size(output / "layer")
    _pack_and_report("layer", output / "layer", output / "layer.zip")
    for function in sorted(path for path in FUNCTIONS.iterdir() if path.is_dir()):
        check_fits([layer_size, unpacked_size(function)], function.name)
        _pack_and_report(function.name, function, output / f"{function.name}.zip")


def _pack_and_report(name: str, directory: Path, archive: Path) -> None:
    pack(directory, archive)
    sizes = f"{_size(unpacked_size(directory)):>10} unpacked {_size(archive.stat().st_size):>10} zipped"
    sys.stdout.write(f"{name:<28}{sizes}  {archive}\n")


def _size(size: int) -> str:
    return f"{size / 1024:.1f} KB" if size < 1024 * 1024 else f"{size / (1024 * 1024):.2f} MB"


def main(arguments: Sequence[str]) -> int:
    """Run one packing command; the exit status is 1 with one sentence on standard error when it cannot be done."""
    parser = argparse.ArgumentParser(description="Pack the layer and the functions.")
    commands = parser.add_subparsers(dest="command", required=True)
    layer = commands.add_parser("layer", help="fill DIRECTORY/python, as Lambda expects a layer")
    layer.add_argument("directory", type=Path)
    everything = commands.add_parser("build", help="zip the layer and every function into DIRECTORY")
    everything.add_argument("directory", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "layer":
            fill(options.directory / "python", LAMBDA)
        else:
            build(options.directory)
    except PackagingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
