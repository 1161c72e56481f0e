"""Fuzzing with libFuzzer: `python bench/fuzz.py png --minutes 10`, or `all` of the decoders, one after the other.

Inputs are mutated by libFuzzer, which keeps those that reach new branches of our Python code, and by the edits of
`tests/fuzz`, which know the formats. Findings are exceptions other than ours, inputs that take over --timeout seconds,
and memory over --rss MiB; the first two are kept as files. Kernels run compiled, so that their branches are not
seen, or with --interpreted as plain Python (slow): then they are, and every index is checked.

Needs atheris (`pip install -e .[fuzz]`, Linux) and the packages of the tests.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

#: Above the largest real input.
LONGEST = 256 << 10


def main() -> None:
    """Fuzz what the command line names, each decoder in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decoder", help="its name in tests/fuzz/decoders.py, or all")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rss", type=int, default=2048, help="MiB of memory that are a finding")
    parser.add_argument("--timeout", type=int, default=20, help="seconds for one input that are a finding")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where they are kept")
    parser.add_argument("--interpreted", action="store_true", help="kernels as plain Python")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.child:
        fuzz(options.decoder, options.findings, options.interpreted, rest)
        return
    from tests.fuzz.decoders import DECODERS

    options.findings.mkdir(parents=True, exist_ok=True)
    print("| decoder | minutes | executions | edges | features | peak MiB | slowest s | findings |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in DECODERS if options.decoder == "all" else [options.decoder]:
        print(row(name, options, DECODERS[name].inputs()), flush=True)


def row(name: str, options: argparse.Namespace, inputs: Any) -> str:
    """Fuzz one decoder; its line of the table."""
    with tempfile.TemporaryDirectory(prefix="headrace-corpus-") as corpus:
        for number, data in enumerate(inputs):
            (Path(corpus) / f"{number}").write_bytes(data)
        command = [
            *(sys.executable, __file__, name, "--child", f"--findings={options.findings}"),
            *(["--interpreted"] if options.interpreted else []),
            *(corpus, f"-max_total_time={round(60 * options.minutes)}", f"-rss_limit_mb={options.rss}"),
            *(f"-timeout={options.timeout}", f"-max_len={LONGEST}", "-print_final_stats=1", "-report_slow_units=5"),
            f"-artifact_prefix={options.findings}/{name.replace(' ', '-')}-",
        ]
        env = os.environ | ({"NUMBA_DISABLE_JIT": "1"} if options.interpreted else {})
        ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    log = ran.stdout + ran.stderr
    (options.findings / f"{name.replace(' ', '-')}.log").write_text(log)

    def last(pattern: str) -> str:
        return ([*re.findall(pattern, log)] or ["?"])[-1]

    units, rss, slowest = (
        last(rf"stat::{each}:\s+(\d+)") for each in ("number_of_executed_units", "peak_rss_mb", "slowest_unit_time_sec")
    )
    found = re.findall(r"^FINDING (.*)$", log, re.MULTILINE) + re.findall(r"ERROR: libFuzzer: (.*)", log)
    told = "; ".join(found) or ("none" if ran.returncode == 0 else f"ended with {ran.returncode}")
    edges, features = last(r"cov: (\d+)"), last(r"ft: (\d+)")
    return f"| {name} | {options.minutes:g} | {units} | {edges} | {features} | {rss} | {slowest} | {told} |"


def fuzz(name: str, findings: Path, interpreted: bool, arguments: list[str]) -> None:
    """In a process of its own: run one decoder under libFuzzer, which ends it."""
    import atheris

    # Compiled kernels are read from their bytecode, which must be as it was written.
    kernels = [f"headrace.pipeline.kernels.{path.stem}" for path in (ROOT / "pipeline" / "kernels").glob("*.py")]
    with atheris.instrument_imports(include=["headrace"], exclude=[] if interpreted else kernels):
        from tests.fuzz.decoders import DECODERS
    decoder = DECODERS[name]
    seen: set[tuple[str, str, int | None]] = set()

    def once(data: bytes) -> None:
        try:
            decoder.survives(data)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = type(error).__name__, Path(last.filename).name, last.lineno
            if place not in seen:  # the same again tells nothing new
                seen.add(place)
                path = findings / f"{name.replace(' ', '-')}-finding-{len(seen)}"
                path.write_bytes(data)
                print(f"FINDING {place[0]} at {place[1]}:{place[2]} ({path})", file=sys.stderr, flush=True)

    atheris.Setup(
        [sys.argv[0], *arguments], once, custom_mutator=mutator(decoder, lambda *given: atheris.Mutate(*given))
    )
    atheris.Fuzz()


def mutator(decoder: Any, mutate: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own mutations and ours in turn."""
    inputs = decoder.inputs()

    def changed(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        try:
            ours = rng.random() < 0.5 and rng.choice(decoder.edits)(data, rng, inputs)[:most]
        except Exception:  # what has been mutated long enough is nothing that our edits know
            ours = b""
        return ours or mutate(data, most)

    return changed


if __name__ == "__main__":
    main()
