"""Cold starts of what is uploaded: the archives for Yandex Cloud next to the Lambda layer and functions.

Both are packed for this machine's interpreter by deploy/package.py and started from what was packed alone. What is
uploaded holds no bytecode, so a start compiles what it imports; the figures with bytecode are what the imports cost by
themselves. Each is the best of several fresh interpreters, in milliseconds.
"""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from deploy.package import AWS_SERVICES, YANDEX_HERE, Runtime, build_yandex, fill, function_directories

RUNS = 5
PROBE = """
import sys, time
sys.path[:0] = {paths!r}
began = time.perf_counter()
import {module}
from image_pipeline.app import app
app()
print((time.perf_counter() - began) * 1000)
"""
SETTINGS = {
    "AWS_REGION": "ru-central1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "POLL_QUEUE_URL": "http://127.0.0.1/queue",
    "COPIES_TABLE": "copies",
    "IMAGE_POLICY": '{"routes": []}',
}


def measure(paths: list[Path], module: str, platform: str) -> float:
    probe = PROBE.format(paths=[str(path) for path in paths], module=module)
    command = [sys.executable, "-I", "-S", "-B", "-c", probe]
    runs = [
        subprocess.run(command, env={**SETTINGS, "PLATFORM": platform}, check=True, capture_output=True, text=True)
        for _ in range(RUNS)
    ]
    return min(float(run.stdout) for run in runs)


def lambda_build(directory: Path) -> dict[str, list[Path]]:
    fill(directory / "layer", Runtime(YANDEX_HERE.python, None, AWS_SERVICES))
    for function in function_directories():
        shutil.copytree(function, directory / function.name, ignore=shutil.ignore_patterns("__pycache__"))
    return {function.name: [directory / function.name, directory / "layer"] for function in function_directories()}


def yandex_archives(directory: Path) -> dict[str, list[Path]]:
    build_yandex(directory, YANDEX_HERE)
    for function in function_directories():
        with zipfile.ZipFile(directory / f"{function.name}.zip") as archive:
            archive.extractall(directory / function.name)
    return {function.name: [directory / function.name] for function in function_directories()}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        with redirect_stdout(io.StringIO()):
            builds = {
                "aws": lambda_build(Path(scratch, "lambda")),
                "yandex": yandex_archives(Path(scratch, "yandex")),
            }
        for kind in ("without bytecode", "with bytecode"):
            if kind == "with bytecode":
                compileall.compile_dir(scratch, quiet=2, workers=0)
            for function in function_directories():
                module = function.name.replace("-", "_")
                times = {
                    platform: measure(paths[function.name], module, platform) for platform, paths in builds.items()
                }
                print(
                    f"{function.name:28} {kind:17} Lambda {times['aws']:6.0f} ms   Yandex {times['yandex']:6.0f} ms"
                    f"   {times['yandex'] / times['aws']:5.2f}"
                )


if __name__ == "__main__":
    main()
