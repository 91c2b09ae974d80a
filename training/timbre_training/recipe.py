"""The whole training in one command that may be stopped and repeated: `python -m timbre_training.recipe ...`.

From a prepared folder: token encoder, tokens, then SoVITS and text-to-tokens side by side, then export. Every call goes
on where the last one stopped and ends within `--minutes`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_EXPORT_MINUTES = 0.5
_STAGES = ("token_encoder", "sovits", "text2semantic")


@dataclass(frozen=True)
class Plan:
    """Where things lie and how much of each there is to do."""

    data: Path
    runs: Path
    output: Path
    device: str
    threads: int
    scale: int
    encoder_steps: int
    steps: int
    tuning_steps: int = 600
    start: Path | None = None
    continuation: Path | None = None
    fitting: int = 60


def run_recipe(plan: Plan, minutes: float) -> dict[str, object]:
    """Does what can be done in the time; says how far everything is."""
    end = time.monotonic() + minutes * 60

    def left() -> float:
        return (end - time.monotonic()) / 60

    done = plan.runs / "tokens-made"
    if not done.exists():
        _stage(plan, "train_token_encoder", "token_encoder", plan.encoder_steps, left() - _EXPORT_MINUTES).wait()
        if _steps_done(plan, "token_encoder") < plan.encoder_steps:
            return _progress(plan)
        _run("export", "--runs", plan.runs, "--data", plan.data, "--output", plan.runs / "encoder", "--only", "encoder")
        _run(
            "make_tokens", "--data", plan.data, "--encoder", plan.runs / "encoder" / "token-encoder",
            "--device", plan.device, "--threads", plan.threads, "--tuning-steps", plan.tuning_steps,
            *_start(plan),
        )  # fmt: skip
        done.touch()
    together = [
        _stage(plan, "train_sovits", "sovits", plan.steps, left() - _EXPORT_MINUTES),
        _stage(plan, "train_text2semantic", "text2semantic", plan.steps, left() - _EXPORT_MINUTES),
    ]
    for process in together:
        if process.wait() != 0:
            raise SystemExit(f"a stage failed with status {process.returncode}; see its output above")
    _run("export", "--runs", plan.runs, "--data", plan.data, "--output", plan.output)
    for stage in _STAGES:
        metrics = plan.runs / stage / "metrics.jsonl"
        if metrics.exists():  # a stage that has not come to its first report has none
            shutil.copy(metrics, plan.output / f"{stage}-metrics.jsonl")
    return _progress(plan)


def _stage(plan: Plan, module: str, run: str, steps: int, minutes: float) -> subprocess.Popen:
    command = [
        "--data", plan.data, "--run", plan.runs / run, "--steps", steps, "--minutes", max(0.0, minutes),
        "--device", plan.device, "--threads", plan.threads, "--scale", plan.scale,
        *(_start(plan) if run != "text2semantic" else _start(plan)[:2]),
        *(("--fitting", plan.fitting) if run == "sovits" else ()),
    ]  # fmt: skip
    return subprocess.Popen(_python(module, command))


def _start(plan: Plan) -> list[object]:
    options: list[object] = [] if plan.start is None else ["--start", plan.start]
    return options if plan.continuation is None else [*options, "--continuation", plan.continuation]


def _run(module: str, *options: object) -> None:
    subprocess.run(_python(module, options), check=True)


def _python(module: str, options: object) -> list[str]:
    return [sys.executable, "-m", f"timbre_training.{module}", *(str(option) for option in options)]


def _steps_done(plan: Plan, run: str) -> int:
    path = plan.runs / run / "step.json"
    return int(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else 0


def _progress(plan: Plan) -> dict[str, object]:
    return {run: _steps_done(plan, run) for run in _STAGES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with alignment and utterances")
    parser.add_argument("--runs", type=Path, required=True, help="checkpoints and metrics")
    parser.add_argument("--output", type=Path, required=True, help="exported models")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="times the batch size; 4 suits one large GPU")
    parser.add_argument("--encoder-steps", type=int, default=6_000)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument(
        "--start", type=Path, help="exported folder to go on from; its token numbers keep their meaning"
    )
    parser.add_argument("--continuation", type=Path, help="the start's continue.safetensors, where that lies elsewhere")
    parser.add_argument("--fitting", type=int, default=60, help="batches that the prior is fitted on after a start")
    parser.add_argument("--tuning-steps", type=int, default=600, help="of the quantiser")
    arguments = vars(parser.parse_args())
    minutes = arguments.pop("minutes")
    print(json.dumps(run_recipe(Plan(**arguments), minutes)))


if __name__ == "__main__":
    main()
