"""Trained models in the official file formats: `python -m timbre_training.export --runs DIR --data DIR --output DIR`."""

import argparse
import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from .quantiser import CODEBOOK
from .sovits import Sovits, SovitsSizes
from .text2semantic import Text2Semantic, Text2SemanticSizes
from .token_encoder import TokenEncoder, TokenEncoderSizes, write_token_encoder


def write_text2semantic(path: Path, model: Text2Semantic, step: int) -> None:
    """s1.ckpt: half-precision weights under `model.`, config, info."""
    weights = OrderedDict((f"model.{name}", _half(value)) for name, value in model.state_dict().items())
    if not bool(model.bert_proj.weight.any()):
        # An all-zero projection is stored as one zero seen through strides of zero: 0.4 MB less in the repository.
        shape = model.bert_proj.weight.shape
        weights["model.bert_proj.weight"] = torch.zeros(1, dtype=torch.float16).expand(shape)
    content = {"weight": weights, "config": model.sizes.official_config(), "info": f"Timbre demo voice, step {step}"}
    torch.save(content, path)


def write_sovits(path: Path, model: Sovits, step: int) -> None:
    """s2.pth: half-precision weights without the posterior encoder, config, info."""
    weights = OrderedDict(
        (name, _half(value)) for name, value in model.state_dict().items() if not name.startswith("enc_q.")
    )
    # Inference never reads the running sums; sharing the centroids' storage costs no space.
    weights[CODEBOOK + "embed_avg"] = weights[CODEBOOK + "embed"]
    content = {"weight": weights, "config": model.sizes.official_config(), "info": f"Timbre demo voice, step {step}"}
    torch.save(content, path)


def write_continuation(path: Path, sovits: Sovits, judges: dict[str, Tensor], token_classes: Tensor) -> None:
    """continue.pt: what training needs to go on from the exported files: posterior encoder, judges, each token's phoneme."""
    posterior = {name: _half(value) for name, value in sovits.state_dict().items() if name.startswith("enc_q.")}
    content = {
        "posterior": posterior, "judges": {name: _half(value) for name, value in judges.items()},
        "token_classes": token_classes,
    }  # fmt: skip
    torch.save(content, path)


def write_half_encoder(folder: Path, encoder: TokenEncoder) -> None:
    """ssl/: config.json and half-precision model.safetensors."""
    write_token_encoder(folder, encoder)
    state = {name: _half(value).contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _half(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    return value.half() if value.is_floating_point() else value


def averaged(run: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged weights of a run, the best ones where it keeps them, and how many steps were taken."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    return state.get("best", state["average"]), int(state["step"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of token_encoder, sovits and text2semantic runs"
    )
    parser.add_argument("--data", type=Path, required=True, help="prepared folder; its quantiser goes into s2.pth")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", choices=("encoder", "all"), default="all")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    weights, step = averaged(arguments.runs / "token_encoder")
    encoder = TokenEncoder(TokenEncoderSizes())
    encoder.load_state_dict(_under(weights, "encoder."))
    write_half_encoder(arguments.output / "ssl", encoder)

    if arguments.only == "all":
        weights, step = averaged(arguments.runs / "sovits")
        sovits = Sovits(SovitsSizes())
        sovits.load_state_dict(weights)
        sovits.load_state_dict(torch.load(arguments.data / "quantiser.pt", weights_only=True), strict=False)
        write_sovits(arguments.output / "s2.pth", sovits, step)
        judges = torch.load(arguments.runs / "sovits" / "checkpoint.pt", map_location="cpu", weights_only=True)[
            "judges"
        ]
        token_classes = torch.from_numpy(np.load(arguments.data / "token_classes.npy"))
        write_continuation(arguments.output / "continue.pt", sovits, judges, token_classes)
        weights, step = averaged(arguments.runs / "text2semantic")
        text2semantic = Text2Semantic(Text2SemanticSizes())
        text2semantic.load_state_dict(weights)
        write_text2semantic(arguments.output / "s1.ckpt", text2semantic, step)
    sizes = {
        str(path.relative_to(arguments.output)): path.stat().st_size
        for path in sorted(arguments.output.rglob("*"))
        if path.suffix in (".ckpt", ".pth", ".safetensors")
    }
    print(json.dumps({"bytes": sizes, "together": sum(sizes.values())}))


def _under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


if __name__ == "__main__":
    main()
