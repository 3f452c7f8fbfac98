"""Pack what is deployed: our packages with their dependencies, resolved for the cloud's Python, not for ours.

On AWS they are a layer; on Yandex Cloud, which has no layers, they lie in every function's archive.
Needs Python 3.11 and uv, no container and no virtual environment: SAM calls it too (layers/desktop-images/Makefile).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER_SOURCE = ROOT / "layers" / "desktop-images"
FUNCTIONS = ROOT / "functions"
OWN_PACKAGES = ("cloud_desktop", "image_pipeline")

# Function code and all layers together, unpacked (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
LAMBDA_UNPACKED_LIMIT = 250 * 1024 * 1024

# Limits of a Yandex function's archive (functions-limits.md of the Yandex Cloud documentation; the number of bytes is
# the one beyond which terraform-provider-yandex refuses a direct upload).
YANDEX_DIRECT_LIMIT = 3_670_016
YANDEX_ZIPPED_LIMIT = 128 * 1024 * 1024
YANDEX_UNPACKED_LIMIT = 680 * 1024 * 1024

# The services the functions call; the other 400 API descriptions are two thirds of botocore.
AWS_SERVICES = frozenset({"dynamodb", "s3", "secretsmanager", "sns", "sqs", "sts"})
# Of these, the ones that have a compatible service on Yandex Cloud: YDB's Document API, Object Storage, Message Queue.
YANDEX_SERVICES = frozenset({"dynamodb", "s3", "sqs"})

# What no import reaches: cffi's compiler front end (cryptography needs _cffi_backend alone) and the API browser that
# Powertools serves when asked to. cryptography and PyJWT stay on both clouds: a function may sign in with an authorized
# key on Yandex too, to reach the other region.
_UNREACHED = (
    "cffi",
    "pycparser",
    "pycparser-*.dist-info",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/swagger-ui*",
)

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class PackagingError(Exception):
    """Something needed for packing is missing or the result does not fit; the message says what to do."""


@dataclass(frozen=True)
class Runtime:
    """A function runtime: the Python and the platform its wheels are chosen for.

    Attributes:
        python: Version, as uv takes it.
        platform: uv's platform name; None for this machine. manylinux2014 (glibc 2.17) is older than any runtime: its
            wheels load on all.
        services: The services whose descriptions botocore needs there.
    """

    python: str
    platform: str | None
    services: frozenset[str] = AWS_SERVICES


LAMBDA = Runtime(python="3.13", platform="aarch64-manylinux2014")
YANDEX = Runtime(python="3.12", platform="x86_64-manylinux2014", services=YANDEX_SERVICES)
# What `make run-yandex` needs: the same archives, with wheels that this interpreter can load.
YANDEX_HERE = Runtime(f"{sys.version_info.major}.{sys.version_info.minor}", None, YANDEX_SERVICES)

Install = Callable[[Runtime, Path], None]


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
    command += ["--python-version", runtime.python]
    if runtime.platform is not None:
        command += ["--python-platform", runtime.platform]
    command += ["--only-binary", ":all:", "--require-hashes", "--no-compile-bytecode"]
    command += ["--requirement", str(LAYER_SOURCE / "requirements.txt")]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own arguments
        platform = runtime.platform or "this machine"
        raise PackagingError(f"uv could not install the layer's packages for Python {runtime.python} on {platform}.")


def trim(packages: Path, services: frozenset[str] = AWS_SERVICES) -> None:
    """Remove what no function needs at run time, and of botocore all services but the given ones.

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
            if service.is_dir() and service.name not in services:
                shutil.rmtree(service)
    shutil.rmtree(packages / "boto3" / "examples", ignore_errors=True)
    for pattern in _UNREACHED:
        for path in packages.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for unneeded in [*packages.rglob("__pycache__"), *packages.rglob("tests")]:
        shutil.rmtree(unneeded, ignore_errors=True)
    for stub in packages.rglob("*.pyi"):
        stub.unlink()


def fill(packages: Path, runtime: Runtime, install: Install = install_dependencies) -> None:
    """Make `packages` an importable directory: our two packages with everything they need. Replaces what was there."""
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    install(runtime, packages)
    trim(packages, runtime.services)
    for name in OWN_PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(LAYER_SOURCE / name, packages / name, ignore=ignored)


def files_below(directory: Path) -> Iterator[Path]:
    """Yield the files to pack, in an order that does not depend on the file system."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def pack(directory: Path, archive: Path, *, onto: Path | None = None) -> None:
    """Zip the contents of `directory`, after those of another archive if one is given.

    The same contents give the same bytes, whatever their dates, owners and modes, as long as zlib is the same.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    if onto is not None:
        shutil.copyfile(onto, archive)
    with zipfile.ZipFile(archive, "w" if onto is None else "a") as zipped:
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


def function_directories() -> list[Path]:
    """Return the directories of the functions, by name."""
    return sorted(path for path in FUNCTIONS.iterdir() if path.is_dir())


def build(output: Path) -> None:
    """Build the layer and the functions into `output` as zip files, and say how large they are.

    Raises:
        PackagingError: Something is missing or too large for Lambda.
    """
    fill(output / "layer" / "python", LAMBDA)
    layer_size = unpacked_size(output / "layer")
    _pack_and_report("layer", output / "layer", output / "layer.zip")
    for function in function_directories():
        check_fits([layer_size, unpacked_size(function)], function.name)
        _pack_and_report(function.name, function, output / f"{function.name}.zip")


@dataclass(frozen=True)
class YandexArchive:
    """The archive of one Yandex function."""

    function: str
    path: Path
    unpacked: int

    @property
    def size(self) -> int:
        """Bytes of the archive."""
        return self.path.stat().st_size

    def check_fits(self) -> None:
        """Refuse what a Yandex function cannot be made of.

        Raises:
            PackagingError: The archive is too large, as it is or unpacked.
        """
        for size, limit, what in (
            (self.size, YANDEX_ZIPPED_LIMIT, "zipped"),
            (self.unpacked, YANDEX_UNPACKED_LIMIT, "unpacked"),
        ):
            if size > limit:
                raise PackagingError(
                    f"{self.path.name} is {_size(size)} {what}, Yandex Cloud Functions takes {_size(limit)}; "
                    "weigh the dependencies in pyproject.toml again."
                )

    def described(self) -> dict[str, object]:
        """Return the archive's part of the manifest."""
        return {
            "file": self.path.name,
            "entryPoint": f"{_entry_module(self.function)}.handler",
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "bytes": self.size,
            "unpackedBytes": self.unpacked,
        }


def build_yandex(output: Path, runtime: Runtime = YANDEX, install: Install = install_dependencies) -> None:
    """Build one archive a function into `output`, with manifest.json, and say what they weigh.

    The handler's module and the packages all lie in the archive's root, where the runtime looks for them.

    Raises:
        PackagingError: Something is missing, two modules have one name, or an archive is too large.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as scratch:
        contents, shared = Path(scratch, "contents"), Path(scratch, "shared.zip")
        fill(contents, runtime, install)
        pack(contents, shared)
        archives = [_pack_function(function, contents, shared, output) for function in function_directories()]
        weights = _weights(shared)
    for archive in archives:
        archive.check_fits()
    manifest = {
        "python": runtime.python,
        "runtime": f"python{runtime.python.replace('.', '')}",
        "platform": runtime.platform or "this machine",
        "botocoreServices": sorted(runtime.services),
        "functions": {archive.function: archive.described() for archive in archives},
        "packages": {name: {"bytes": size, "unpackedBytes": unpacked} for name, size, unpacked in weights},
    }
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _report_yandex(archives, weights)


def _entry_module(function: str) -> str:
    return function.replace("-", "_")


def _pack_function(function: Path, contents: Path, shared: Path, output: Path) -> YandexArchive:
    if not (function / f"{_entry_module(function.name)}.py").is_file():
        raise PackagingError(f"{function} has no {_entry_module(function.name)}.py, which its entry point is in.")
    for path in function.iterdir():
        if (contents / path.name).exists():
            raise PackagingError(f"{path} has the name of a package that lies beside it in the archive; rename it.")
    archive = output / f"{function.name}.zip"
    pack(function, archive, onto=shared)
    return YandexArchive(function.name, archive, unpacked_size(contents) + unpacked_size(function))


def _weights(archive: Path) -> list[tuple[str, int, int]]:
    """Return what each entry of the archive's root weighs, in bytes zipped and unpacked, the heaviest first."""
    zipped: Counter[str] = Counter()
    unpacked: Counter[str] = Counter()
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            name = entry.filename.split("/", 1)[0]
            name = "*.dist-info" if name.endswith(".dist-info") else name
            zipped[name] += entry.compress_size
            unpacked[name] += entry.file_size
    return [(name, size, unpacked[name]) for name, size in sorted(zipped.items(), key=lambda item: (-item[1], item[0]))]


def _report_yandex(archives: Sequence[YandexArchive], weights: Sequence[tuple[str, int, int]]) -> None:
    rows = [*weights, *((str(archive.path), archive.size, archive.unpacked) for archive in archives)]
    width = max(len(name) for name, _, _ in rows)
    for name, size, unpacked in rows:
        sys.stdout.write(f"{name:<{width}} {_size(unpacked):>10} unpacked {_size(size):>10} zipped\n")
    if any(archive.size > YANDEX_DIRECT_LIMIT for archive in archives):
        sys.stdout.write(
            f"Beyond {YANDEX_DIRECT_LIMIT} bytes an archive cannot be uploaded to a function directly: "
            "deploy/yandex puts it into a bucket first.\n"
        )


def _pack_and_report(name: str, directory: Path, archive: Path) -> None:
    pack(directory, archive)
    sizes = f"{_size(unpacked_size(directory)):>10} unpacked {_size(archive.stat().st_size):>10} zipped"
    sys.stdout.write(f"{name:<28}{sizes}  {archive}\n")


def _size(size: int) -> str:
    return f"{size / 1024:.1f} KB" if size < 1024 * 1024 else f"{size / (1024 * 1024):.2f} MB"


def main(arguments: Sequence[str]) -> int:
    """Run one packing command; the exit status is 1 with one sentence on standard error when it cannot be done."""
    parser = argparse.ArgumentParser(description="Pack what is deployed.")
    commands = parser.add_subparsers(dest="command", required=True)
    layer = commands.add_parser("layer", help="fill DIRECTORY/python, as Lambda expects a layer")
    layer.add_argument("directory", type=Path)
    yandex = commands.add_parser("yandex", help="zip every function for Yandex Cloud Functions into DIRECTORY")
    yandex.add_argument("directory", type=Path)
    yandex.add_argument("--here", action="store_true", help="for this machine and interpreter, to run them on it")
    everything = commands.add_parser("build", help="zip the layer and every function into DIRECTORY")
    everything.add_argument("directory", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "layer":
            fill(options.directory / "python", LAMBDA)
        elif options.command == "yandex":
            build_yandex(options.directory, YANDEX_HERE if options.here else YANDEX)
        else:
            build(options.directory)
    except PackagingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
