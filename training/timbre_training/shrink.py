"""An exported voice with wider feed-forward layers made as narrow as the recipe's: `python -m timbre_training.shrink ...`.

The hidden units that say most are kept, and the layer that reads them is fitted anew (least squares on what the layer
hears in real utterances), so that training can go on instead of starting again.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .continuation import continuation_of, write_continuation
from .dataset import Dataset, read_dataset
from .evaluate import Voice, read_voice
from .export import write_half_encoder, write_sovits, write_text2semantic
from .make_tokens import pair_features, spoken_rows, tokens_of_voice
from .sovits import Sovits, SovitsSizes, length_mask
from .spectrogram import magnitude
from .text2semantic import Text2Semantic, Text2SemanticSizes
from .token_encoder import TokenEncoder, TokenEncoderSizes
from .utterances import Utterance, read_utterances, samples_of

_RIDGE = 1e-3
_UTTERANCES = 60


def fit_narrower(hidden: Tensor, first: nn.Module, second: nn.Module, units: int) -> dict[str, Tensor]:
    """Weights of a feed-forward pair of `units` hidden units from inputs of `second`: [rows, wide] or [rows, wide, kernel]."""
    taps = hidden.unsqueeze(2) if hidden.dim() == 2 else hidden
    reader = second.weight.detach() if second.weight.dim() == 3 else second.weight.detach().unsqueeze(2)
    worth = taps.square().mean(dim=(0, 2)) * reader.square().sum(dim=(0, 2))
    kept = worth.topk(units).indices.sort().values
    wanted = taps.flatten(1) @ reader.flatten(1).T
    inputs = torch.cat([taps[:, kept].flatten(1), torch.ones(len(taps), 1)], dim=1).double()
    gram = inputs.T @ inputs
    gram += torch.eye(len(gram), dtype=torch.float64) * (_RIDGE * gram.diagonal().mean())
    solution = torch.linalg.solve(gram, inputs.T @ wanted.double()).float()
    narrow = solution[:-1].T.reshape(reader.shape[0], units, reader.shape[2])
    return {
        "first.weight": first.weight.detach()[kept], "first.bias": first.bias.detach()[kept],
        "second.weight": narrow if second.weight.dim() == 3 else narrow[:, :, 0],
        "second.bias": second.bias.detach() + solution[-1],
    }  # fmt: skip


@torch.no_grad()
def shrink(
    wide: nn.Module, narrow: nn.Module, pairs: list[tuple[str, str]], use: Callable[[], None], units: int
) -> None:
    """Copies `wide` into `narrow`, whose feed-forward `pairs` (names of modules) are narrower; `use` runs `wide` on data."""
    heard: dict[str, list[Tensor]] = {second: [] for _, second in pairs}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def listen(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0]
            if isinstance(module, nn.Conv1d):
                x = x.unfold(2, module.kernel_size[0], 1).transpose(1, 2)  # [batch, time, channels, kernel]
            heard[name].append(x.flatten(0, 1))

        return listen

    hooks = [wide.get_submodule(name).register_forward_pre_hook(keep(name)) for name in heard]
    use()
    for hook in hooks:
        hook.remove()
    state = wide.state_dict()
    for first, second in pairs:
        rows = torch.cat(heard.pop(second))
        rows = rows[torch.randperm(len(rows))[:30_000]]
        fitted = fit_narrower(rows, wide.get_submodule(first), wide.get_submodule(second), units)
        for name, value in fitted.items():
            state[name.replace("first", first).replace("second", second)] = value
    narrow.load_state_dict(state)


def chosen_utterances(utterances: list[Utterance]) -> list[Utterance]:
    """Some of middling length."""
    fit = [one for one in utterances if not one.held_out and 40 < len(one.aligned) < 120]
    return [fit[index] for index in np.random.default_rng(0).permutation(len(fit))[:_UTTERANCES]]


def shrink_voice(voice: Voice, chosen: list[Utterance], dataset: Dataset, tokens: dict[int, np.ndarray]) -> Voice:
    """All three models in the recipe's sizes, fitted on `chosen` and their tokens by utterance."""
    speech = {one.id: samples_of(one, dataset.audio, np.random.default_rng(0)) for one in chosen}

    def listen() -> None:
        for one in chosen:
            voice.encoder(torch.from_numpy(speech[one.id])[None])

    def speak() -> None:
        sovits = voice.sovits
        for one in chosen:
            said = torch.from_numpy(tokens[one.id])[None]
            phonemes = torch.tensor(one.ids)[None]
            sound = magnitude(
                torch.from_numpy(speech[one.id])[None], sovits.sizes.filter_length, sovits.sizes.hop_length
            )
            ge = sovits.global_embedding(sound, torch.ones(1, 1, sound.shape[2]))
            mask = length_mask(torch.tensor([2 * said.shape[1]]), 2 * said.shape[1])
            sovits.enc_p(sovits.token_features(said), mask, phonemes, torch.ones(1, 1, phonemes.shape[1]), ge)

    def plan() -> None:
        for one in chosen:
            said = torch.from_numpy(tokens[one.id])[None]
            lengths = torch.tensor([len(one.ids)]), torch.tensor([said.shape[1]])
            voice.text2semantic(torch.tensor(one.ids)[None], lengths[0], said, lengths[1])

    encoder = TokenEncoder(TokenEncoderSizes()).eval()
    layers = [f"encoder.layers.{n}.feed_forward" for n in range(encoder.sizes.num_hidden_layers)]
    pairs = [(f"{name}.intermediate_dense", f"{name}.output_dense") for name in layers]
    shrink(voice.encoder, encoder, pairs, listen, encoder.sizes.intermediate_size)
    sovits = Sovits(SovitsSizes()).eval()
    stacks = {"encoder_ssl": 3, "encoder_text": 6, "encoder2": 3}
    layers = [f"enc_p.{stack}.ffn_layers.{n}" for stack, count in stacks.items() for n in range(count)]
    pairs = [(f"{name}.conv_1", f"{name}.conv_2") for name in layers]
    shrink(voice.sovits, sovits, pairs, speak, sovits.sizes.filter_channels)
    text2semantic = Text2Semantic(Text2SemanticSizes()).eval()
    layers = [f"h.layers.{n}" for n in range(text2semantic.sizes.n_layer)]
    pairs = [(f"{name}.linear1", f"{name}.linear2") for name in layers]
    shrink(voice.text2semantic, text2semantic, pairs, plan, text2semantic.sizes.linear_units)
    return Voice(text2semantic, sovits, encoder, voice.has_posterior)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice", type=Path, required=True, help="exported folder with continue.safetensors")
    parser.add_argument("--continuation", type=Path, help="its continue.safetensors, where that lies elsewhere")
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with utterances")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    dataset, utterances = read_dataset(arguments.data), read_utterances(arguments.data)
    more = continuation_of(arguments.voice, arguments.continuation)
    voice = read_voice(arguments.voice, None)
    chosen = chosen_utterances(utterances)
    features = spoken_rows(pair_features(voice.encoder, chosen, dataset.audio, torch.device("cpu")), chosen)
    found = tokens_of_voice(arguments.voice, more.token_classes.numpy(), chosen, features)
    ends = np.cumsum([len(one.aligned) for one in chosen])[:-1]
    tokens = dict(zip((one.id for one in chosen), np.split(found, ends), strict=True))
    narrow = shrink_voice(voice, chosen, dataset, tokens)
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_half_encoder(arguments.output / "token-encoder", narrow.encoder)
    write_sovits(arguments.output / "s2.pth", narrow.sovits, 0)
    write_text2semantic(arguments.output / "s1.ckpt", narrow.text2semantic, 0)
    write_continuation(arguments.output / "continue.safetensors", more)


if __name__ == "__main__":
    main()
