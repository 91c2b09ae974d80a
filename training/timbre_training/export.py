"""Trained models in the official file formats: `python -m timbre_training.export --runs DIR --data DIR --output DIR`."""

import argparse
import json
import shutil
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


def export_encoder(runs: Path, folder: Path) -> None:
    """The token encoder's averaged weights as ssl/."""
    state = _checkpoint(runs / "token_encoder")["average"]
    encoder = TokenEncoder(TokenEncoderSizes())
    encoder.load_state_dict({n.removeprefix("encoder."): v for n, v in state.items() if n.startswith("encoder.")})
    write_half_encoder(folder / "ssl", encoder)


def export_voice(runs: Path, data: Path, folder: Path) -> None:
    """All files of a voice; ssl/ is the encoder that made the tokens of `data`, which lies in `runs`/encoder."""
    shutil.copytree(runs / "encoder" / "ssl", folder / "ssl", dirs_exist_ok=True)
    state = _checkpoint(runs / "sovits")
    sovits = Sovits(SovitsSizes())
    sovits.load_state_dict(state["average"])
    sovits.load_state_dict(torch.load(data / "quantiser.pt", weights_only=True), strict=False)
    write_sovits(folder / "s2.pth", sovits, state["step"])
    token_classes = torch.from_numpy(np.load(data / "token_classes.npy"))
    write_continuation(folder / "continue.pt", sovits, state["judges"], token_classes)
    state = _checkpoint(runs / "text2semantic")
    text2semantic = Text2Semantic(Text2SemanticSizes())
    text2semantic.load_state_dict(state["best"])
    write_text2semantic(folder / "s1.ckpt", text2semantic, state["step"])


def _checkpoint(run: Path) -> dict:
    return torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the stages' runs")
    parser.add_argument("--data", type=Path, required=True, help="prepared folder; its quantiser goes into s2.pth")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", choices=("encoder", "all"), default="all")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.only == "encoder":
        export_encoder(arguments.runs, arguments.output)
    else:
        export_voice(arguments.runs, arguments.data, arguments.output)
    sizes = {
        str(path.relative_to(arguments.output)): path.stat().st_size
        for path in sorted(arguments.output.rglob("*"))
        if path.suffix in (".ckpt", ".pth", ".safetensors")
    }
    print(json.dumps({"bytes": sizes, "together": sum(sizes.values())}))


if __name__ == "__main__":
    main()
