"""The environment that peers run in: one of their own, so that none of their needs mixes with ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["torch_python"]

TORCH = "2.13.0"
WITH_IT = ("numpy", "pillow", "protobuf")

#: Where PyTorch publishes wheels without CUDA, which are a tenth of the size.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def torch_python(folder: Path) -> tuple[Path | None, str]:
    """The interpreter of an environment with PyTorch for the CPU, made when needed; else None and why not."""
    python = folder / "bin" / "python"
    if not (folder / "torch-is-ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        if failure := _install(python):
            return None, failure
        (folder / "torch-is-ready").touch()
    return python, ""


def _install(python: Path) -> str:
    """Install PyTorch from where pip looks anyway, else from its CPU index; why that failed, or nothing."""
    # macOS has one kind of wheel; elsewhere the plain version would bring CUDA.
    wanted = f"torch=={TORCH}" if sys.platform == "darwin" else f"torch=={TORCH}+cpu"
    for where in ([], ["--extra-index-url", CPU_INDEX]):
        pip = [str(python), "-m", "pip", "install", "--quiet", "--retries", "1", *where, wanted, *WITH_IT]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return errors[-1] if errors else f"pip ended with {done.returncode}"
