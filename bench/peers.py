"""The environments that peers run in: of their own, so that none of their needs mixes with ours."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["tensorflow_python", "torch_python"]

TORCH = "2.13.0"
TENSORFLOW = "2.21.0"
WITH_TORCH = ("numpy", "pillow", "protobuf")

#: Where PyTorch publishes wheels without CUDA, which are a tenth of the size.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def torch_python(folder: Path) -> tuple[Path | None, str]:
    """The interpreter of an environment with PyTorch for the CPU, made when needed; else None and why not."""
    # macOS has one kind of wheel; elsewhere the plain version would bring CUDA.
    wanted = f"torch=={TORCH}" if sys.platform == "darwin" else f"torch=={TORCH}+cpu"
    return _environment(folder, "torch-is-ready", [wanted, *WITH_TORCH], ([], ["--extra-index-url", CPU_INDEX]))


def tensorflow_python(folder: Path) -> tuple[Path | None, str]:
    """The same with TensorFlow."""
    small = sys.platform == "linux" and platform.machine() == "x86_64"  # the one platform with a wheel of its own
    wanted = f"{'tensorflow-cpu' if small else 'tensorflow'}=={TENSORFLOW}"
    return _environment(folder, "tensorflow-is-ready", [wanted], ([],))


def _environment(
    folder: Path, marker: str, packages: Sequence[str], sources: Sequence[Sequence[str]]
) -> tuple[Path | None, str]:
    """An environment with these packages, from the first source that has them."""
    python = folder / "bin" / "python"
    if not (folder / marker).exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        if failure := _install(python, packages, sources):
            return None, failure
        (folder / marker).touch()
    return python, ""


def _install(python: Path, packages: Sequence[str], sources: Sequence[Sequence[str]]) -> str:
    """Install packages; why that failed at the last source, or nothing."""
    for where in sources:
        pip = [str(python), "-m", "pip", "install", "--quiet", "--retries", "1", *where, *packages]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return errors[-1] if errors else f"pip ended with {done.returncode}"
