"""Trained models in the official file formats: `python -m timbre_training.export --runs DIR --data DIR --output DIR`."""

import argparse
import json
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .continuation import Continuation, with_spread, write_continuation
from .quantiser import CODEBOOK
from .sovits import Sovits, SovitsSizes
from .text2semantic import Text2Semantic, Text2SemanticSizes
from .token_encoder import TokenEncoder, TokenEncoderSizes, write_token_encoder

_DEMO_VOICE = Path(__file__).resolve().parents[2] / "demo-voice"


def write_text2semantic(path: Path, model: Text2Semantic, step: int) -> None:
    """s1.ckpt: half-precision weights under `model.`, config, info."""
    weights = OrderedDict((f"model.{name}", _half(value)) for name, value in model.state_dict().items())
    if not bool(model.bert_proj.weight.any()):
        # An all-zero projection is stored as one zero seen through strides of zero: 0.4 MB less in the repository.
        shape = model.bert_proj.weight.shape
        weights["model.bert_proj.weight"] = torch.zeros(1, dtype=torch.float16).expand(shape)
    content = {"weight": weights, "config": model.sizes.official_config(), "info": f"Timbre demo voice, step {step}"}
    torch.save(content, path)


def write_sovits(path: Path, model: Sovits, step: int, spread: float = 1.0) -> None:
    """s2.pth: half-precision weights without the posterior encoder, config, info."""
    state = with_spread(model.state_dict(), spread)
    weights = OrderedDict((name, _half(value)) for name, value in state.items() if not name.startswith("enc_q."))
    # Inference never reads the running sums; sharing the centroids' storage costs no space.
    weights[CODEBOOK + "embed_avg"] = weights[CODEBOOK + "embed"]
    content = {"weight": weights, "config": model.sizes.official_config(), "info": f"Timbre demo voice, step {step}"}
    torch.save(content, path)


def write_half_encoder(folder: Path, encoder: TokenEncoder) -> None:
    """token-encoder/: config.json and half-precision model.safetensors."""
    write_token_encoder(folder, encoder)
    state = {name: _half(value).contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _half(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    return value.half() if value.is_floating_point() else value


def export_encoder(runs: Path, folder: Path) -> None:
    """The token encoder's averaged weights as token-encoder/, and its heads beside it."""
    state = _checkpoint(runs / "token_encoder")["average"]
    encoder = TokenEncoder(TokenEncoderSizes())
    encoder.load_state_dict({n.removeprefix("encoder."): v for n, v in state.items() if n.startswith("encoder.")})
    write_half_encoder(folder / "token-encoder", encoder)
    heads = {n.removeprefix("heads."): _half(v) for n, v in state.items() if n.startswith("heads.")}
    save_file(heads, folder / "heads.safetensors")


def export_voice(runs: Path, data: Path, folder: Path, spread: float) -> None:
    """All files of a voice; token-encoder/ is the encoder that made the tokens of `data`, which lies in `runs`/encoder."""
    shutil.copytree(runs / "encoder" / "token-encoder", folder / "token-encoder", dirs_exist_ok=True)
    state = _checkpoint(runs / "sovits")
    sovits = Sovits(SovitsSizes())
    sovits.load_state_dict(state["average"])
    sovits.load_state_dict(torch.load(data / "quantiser.pt", weights_only=True), strict=False)
    write_sovits(folder / "s2.pth", sovits, state["step"], spread)
    token_classes = torch.from_numpy(np.load(data / "token_classes.npy"))
    posterior = {name: value for name, value in sovits.state_dict().items() if name.startswith("enc_q.")}
    heads = load_file(runs / "encoder" / "heads.safetensors")
    content = Continuation(posterior, state["judges"], heads, token_classes, spread)
    write_continuation(folder / "continue.safetensors", content)
    state = _checkpoint(runs / "text2semantic")
    text2semantic = Text2Semantic(Text2SemanticSizes())
    text2semantic.load_state_dict(state["best"])
    write_text2semantic(folder / "s1.ckpt", text2semantic, state["step"])


def copy_voices(described: Path, folder: Path) -> None:
    """demo-voice.json, which says how the model is served, and the reference recordings it names."""
    description = json.loads((described / "demo-voice.json").read_text(encoding="utf-8"))
    for name in ("demo-voice.json", *(voice["recording"] for voice in description["voices"])):
        shutil.copy(described / name, folder / name)


def _checkpoint(run: Path) -> dict:
    return torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the stages' runs")
    parser.add_argument("--data", type=Path, required=True, help="prepared folder; its quantiser goes into s2.pth")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--voices", type=Path, default=_DEMO_VOICE, help="folder of demo-voice.json and its recordings")
    parser.add_argument("--spread", type=float, default=0.3, help="of the prior's own, when speaking")
    parser.add_argument("--only", choices=("encoder", "all"), default="all")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.only == "encoder":
        export_encoder(arguments.runs, arguments.output)
    else:
        export_voice(arguments.runs, arguments.data, arguments.output, arguments.spread)
        copy_voices(arguments.voices, arguments.output)
    sizes = {
        str(path.relative_to(arguments.output)): path.stat().st_size
        for path in sorted(arguments.output.rglob("*"))
        if path.is_file() and path.name != "continue.safetensors"
    }
    print(json.dumps({"bytes": sizes, "together": sum(sizes.values())}))


if __name__ == "__main__":
    main()
