"""What training needs beside a voice's exported files to go on from them."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


@dataclass(frozen=True)
class Continuation:
    """What training needs beside the exported files to go on from them; `heads` are those of the token encoder."""

    posterior: dict[str, Tensor]
    judges: dict[str, Tensor]
    heads: dict[str, Tensor]
    token_classes: Tensor  # phoneme id of every token number
    spread: float = 1.0  # what the exported prior's spread was multiplied with


def write_continuation(path: Path, content: Continuation) -> None:
    """continue.safetensors, in half precision."""
    parts = {"posterior": content.posterior, "judges": content.judges, "heads": content.heads}
    state = {
        f"{part}/{name}": value.detach().cpu().half().contiguous()
        for part, values in parts.items()
        for name, value in values.items()
    }
    rest = {"token_classes": content.token_classes.clone(), "spread": torch.tensor(content.spread)}
    save_file(state | rest, path)


def read_continuation(path: Path) -> Continuation:
    """What `write_continuation` wrote, in full precision."""
    parts: dict[str, dict[str, Tensor]] = {"posterior": {}, "judges": {}, "heads": {}}
    stored = load_file(path)
    for name, value in stored.items():
        part, _, rest = name.partition("/")
        if rest:
            parts[part][rest] = value.float()
    return Continuation(**parts, token_classes=stored["token_classes"], spread=float(stored["spread"]))


def with_spread(weights: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
    """SoVITS weights whose prior spreads `factor` times as much; speech is calmer with less than it was trained with."""
    bias = weights["enc_p.proj.bias"].float().clone()
    bias[len(bias) // 2 :] += math.log(factor)
    return {**weights, "enc_p.proj.bias": bias}


def continuation_of(start: Path, elsewhere: Path | None) -> Continuation:
    """The continuation of an exported folder, which lies in it unless said otherwise."""
    return read_continuation(elsewhere or start / "continue.safetensors")
