"""A training run: a folder with checkpoint and metrics, random numbers that depend on the step alone, a time to stop."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

Batch = TypeVar("Batch")


class Run:
    """Owns the folder of one stage; `steps` yields step numbers until the last step, the deadline or a signal."""

    def __init__(self, folder: Path, *, seed: int, last_step: int, minutes: float, save_every_s: float = 240) -> None:
        self.folder = folder
        self.seed = seed
        self.last_step = last_step
        self.step = 0
        self._deadline = time.monotonic() + minutes * 60
        self._save_every_s = save_every_s
        self._stopped = False
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._reported = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def steps(self, save: Callable[[], dict[str, object]], report_every: int = 50) -> Iterator[int]:
        """Step numbers from where the run stands; saves what `save` returns in time and at the end."""
        previous = {sig: signal.signal(sig, self._on_signal) for sig in (signal.SIGTERM, signal.SIGINT)}
        saved = time.monotonic()
        try:
            while self.step < self.last_step and not self._stopped and time.monotonic() < self._deadline:
                seed_everything(self.seed, self.step)
                yield self.step
                self.step += 1
                if self.step % report_every == 0:
                    self._report(report_every)
                if time.monotonic() - saved > self._save_every_s:
                    self.save(save())
                    saved = time.monotonic()
            self.save(save())
        finally:
            for sig, handler in previous.items():
                signal.signal(sig, handler)

    def note(self, values: Mapping[str, float]) -> None:
        """Adds values of this step to the running means of the next metrics line."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1

    def write(self, values: Mapping[str, object]) -> None:
        """Appends a line to metrics.jsonl and prints it."""
        line = json.dumps({"step": self.step, **values}, ensure_ascii=False)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def save(self, state: dict[str, object]) -> None:
        """Replaces the checkpoint; a kill in between leaves the old one."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({**state, "step": self.step}, partial)
        os.replace(partial, self.checkpoint)
        (self.folder / "step.json").write_text(json.dumps(self.step), encoding="utf-8")

    def load(self) -> dict[str, object] | None:
        """The checkpoint, if there is one; sets the step."""
        if not self.checkpoint.exists():
            return None
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.step = state["step"]
        return state

    def _report(self, steps: int) -> None:
        now = time.monotonic()
        means = {name: round(value / self._counts[name], 4) for name, value in self._sums.items()}
        self.write({**means, "steps_per_s": round(steps / (now - self._reported), 3)})
        self._sums, self._counts, self._reported = {}, {}, now

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopped = True


def seed_everything(seed: int, step: int) -> None:
    """Makes PyTorch's random numbers of a step depend on seed and step only."""
    torch.manual_seed((seed * 1_000_003 + step) % 2**63)


def generator(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """NumPy's random numbers of a step."""
    return np.random.default_rng((seed, step, stream))


def batches(make: Callable[[int], Batch], run: Run, ahead: int) -> Callable[[int], Batch]:
    """Batches by step; with `ahead` > 0 made by threads in advance (a GPU waits for nothing)."""
    if ahead == 0:
        return make
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="batch")
    waiting = {step: pool.submit(make, step) for step in range(run.step, run.step + ahead)}

    def take(step: int) -> Batch:
        waiting[step + ahead] = pool.submit(make, step + ahead)
        return waiting.pop(step).result()

    return take


def learning_rate(peak: float, step: int, *, warm_up: int, half_life: float) -> float:
    """Linear warm-up, then a halving every `half_life` steps; a function of the step alone, so that resuming is exact."""
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 ** (step / half_life)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Moves the averaged weights towards the model's."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), weight)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the machine computes in it; on other processors it is emulated and over ten times slower."""
    native = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=native)


def choose_device(name: str, threads: int) -> torch.device:
    """Sets the thread count and turns the option's name into a device."""
    torch.set_num_threads(threads)
    return torch.device(name)
