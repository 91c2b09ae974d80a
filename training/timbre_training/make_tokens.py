"""Semantic tokens: `python -m timbre_training.make_tokens --data DIR --encoder DIR`.

The 1,024 tokens are shared out among the aligned phonemes, so that a token says which phoneme sounds (plain k-means
tokens took text-to-tokens many times longer to learn). The projection and the codebook are then tuned until the nearest
centroid, which is all that inference has, finds those tokens as often as it can.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .continuation import continuation_of
from .quantiser import CODEBOOK, codebook_state, nearest_centroid
from .run import choose_device
from .token_encoder import TokenEncoder, read_token_encoder
from .utterances import Utterance, read_utterances, samples_of, write_tokens

TOKENS = 1024
# Serving appends so much silence to a reference recording before the encoder (src/engine/enrol-voice.ts), 16 kHz samples.
PROMPT_SILENCE = 4800
_SILENCE = 0


@dataclass(frozen=True)
class Tokens:
    """Every utterance's tokens one after another, what the encoder hears instead, and the quantiser."""

    tokens: np.ndarray
    heard: np.ndarray
    classes: np.ndarray  # phoneme id of every token number
    weight: Tensor  # [width, width, 2], the official ssl_proj
    bias: Tensor
    centroids: Tensor


@torch.no_grad()
def pair_features(
    encoder: TokenEncoder, utterances: list[Utterance], audio: np.ndarray, device: torch.device
) -> list[np.ndarray]:
    """Both 50 Hz features of every token side by side, float16 [tokens, 2 x width] for every utterance.

    The utterance's own tokens come first, then those of the silence that serving appends. The encoder hears that
    silence from the first token on, since its first layer is normalised over the whole recording: one token in six that
    it hears is another one without.
    """
    found = []
    for one in utterances:
        samples = samples_of(one, audio, np.random.default_rng((17, one.id)))
        samples = np.pad(samples, (0, PROMPT_SILENCE))
        features = encoder(torch.from_numpy(samples)[None].to(device))[0].cpu()
        tokens = len(features) // 2
        found.append(features[: 2 * tokens].reshape(tokens, -1).half().numpy())
    return found


def spoken_rows(features: list[np.ndarray], utterances: list[Utterance]) -> np.ndarray:
    """All rows one after another, those of the appended silence left out."""
    return np.concatenate([rows[: len(one.aligned)] for rows, one in zip(features, utterances, strict=True)])


def token_phonemes(utterance: Utterance) -> np.ndarray:
    """Id of the phoneme that sounds in every token, 0 for silence."""
    return np.array([utterance.ids[index] if index >= 0 else _SILENCE for index in utterance.aligned], dtype=np.int64)


def make_quantiser(
    pairs: np.ndarray, phonemes: np.ndarray, *, seed: int, tuning_steps: int, device: torch.device,
    initial: tuple[np.ndarray, np.ndarray] | None = None,
) -> Tokens:  # fmt: skip
    """Clusters and tunes; `initial` (tokens, classes) continues an earlier numbering so that models need not start anew."""
    rng = np.random.default_rng(seed)
    width = pairs.shape[1] // 2
    rotation, centre = principal_axes(pairs, width, rng)
    projected = torch.cat([(torch.from_numpy(part.astype(np.float32)) - centre) @ rotation for part in _parts(pairs)])
    classes = shares(phonemes) if initial is None else initial[1]
    tokens, centroids = cluster(projected, phonemes, classes, rng, None if initial is None else initial[0])
    map_, bias, centroids = tune(pairs, tokens, rotation, -(centre @ rotation), centroids, tuning_steps, seed, device)
    heard = hear(pairs, map_, bias, centroids)
    weight = map_.T.reshape(width, 2, width).transpose(1, 2).contiguous()
    return Tokens(tokens, heard, classes, weight, bias, centroids)


def tokens_of_voice(
    folder: Path, token_classes: np.ndarray, utterances: list[Utterance], features: np.ndarray
) -> np.ndarray:
    """An exported voice's tokens, held to the aligned phonemes; `features` are its own encoder's `spoken_rows`."""
    weights = torch.load(folder / "s2.pth", map_location="cpu", weights_only=True)["weight"]
    phonemes = np.concatenate([token_phonemes(one) for one in utterances])
    projection = _map_of(weights["ssl_proj.weight"].float())
    projected = torch.cat(
        [
            torch.from_numpy(part.astype(np.float32)) @ projection + weights["ssl_proj.bias"].float()
            for part in _parts(features)
        ]
    )
    centroids = weights[CODEBOOK + "embed"].float()
    tokens, _ = cluster(projected, phonemes, token_classes, np.random.default_rng(0), None, centroids, rounds=0)
    return tokens


def _map_of(projection: Tensor) -> Tensor:
    """The official projection [width, width, 2] as a map [2 x width, width] of pairs of features."""
    return projection.transpose(1, 2).flatten(1).T


def principal_axes(pairs: np.ndarray, width: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The first `width` principal directions [2 x width, width] and the mean of the features."""
    sample = pairs[rng.permutation(len(pairs))[:120_000]].astype(np.float64)
    centre = sample.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((sample - centre).T))
    axes = vectors[:, ::-1][:, :width].astype(np.float32).copy()
    return torch.from_numpy(axes), torch.from_numpy(centre.astype(np.float32))


def shares(phonemes: np.ndarray) -> np.ndarray:
    """The phoneme of every token number: each phoneme that occurs gets tokens by the square root of its frequency."""
    present, counts = np.unique(phonemes, return_counts=True)
    appetite = np.sqrt(counts)
    quota = np.maximum(1, np.floor(appetite / appetite.sum() * (TOKENS - 0.5 * len(present)))).astype(int)
    while quota.sum() > TOKENS:
        quota[quota.argmax()] -= 1
    while quota.sum() < TOKENS:
        quota[(appetite / quota).argmax()] += 1
    return np.repeat(present, quota)


def cluster(
    features: Tensor, phonemes: np.ndarray, classes: np.ndarray, rng: np.random.Generator, initial: np.ndarray | None,
    centroids: Tensor | None = None, rounds: int = 12,
) -> tuple[np.ndarray, Tensor]:  # fmt: skip
    """K-means within every phoneme; returns a token for every row and the centroids.

    Begins at `centroids`, else at the means of the `initial` tokens, else at random rows.
    """
    tokens = np.zeros(len(features), dtype=np.int64)
    begin, centroids = centroids, torch.zeros(len(classes), features.shape[1])
    for phoneme in np.unique(classes):
        numbers = np.flatnonzero(classes == phoneme)
        rows = np.flatnonzero(phonemes == phoneme)
        if len(rows) == 0:
            continue
        own = features[rows]
        if begin is not None:
            means = begin[numbers]
        elif initial is None:
            means = own[torch.from_numpy(rng.choice(len(rows), len(numbers), replace=len(rows) < len(numbers)))]
        else:
            means = _means(own, torch.from_numpy(initial[rows] - numbers[0]), own.mean(dim=0).expand(len(numbers), -1))
        sample = own[torch.from_numpy(rng.permutation(len(rows))[:20_000])]
        for _ in range(rounds):
            means = _means(sample, nearest_centroid(sample, means), means)
        tokens[rows] = numbers[nearest_centroid(own, means).numpy()]
        centroids[numbers] = means
    # Phonemes that do not occur in this data (only in a continued numbering) say silence.
    missing = ~np.isin(phonemes, classes)
    tokens[missing] = int(np.flatnonzero(classes == _SILENCE)[0]) if missing.any() else 0
    return tokens, centroids


def _means(rows: Tensor, labels: Tensor, before: Tensor) -> Tensor:
    """Mean of the rows of each label; labels with fewer than two rows keep what was before."""
    count = torch.bincount(labels, minlength=len(before)).float()[:, None]
    sums = torch.zeros_like(before).index_add_(0, labels, rows)
    return torch.where(count > 1, sums / count.clamp_min(1), before)


def tune(
    pairs: np.ndarray, tokens: np.ndarray, map_: Tensor, bias: Tensor, centroids: Tensor, steps: int, seed: int,
    device: torch.device, batch: int = 2048,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Moves projection and centroids so that the nearest centroid is the wanted token (cross-entropy of distances)."""
    scale = float(centroids.square().sum(dim=1).mean())
    parameters = [one.clone().to(device).requires_grad_() for one in (map_, bias, centroids)]
    optimiser = torch.optim.Adam(parameters, 2e-3)
    rng = np.random.default_rng((seed, 1))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        rows = rng.integers(0, len(pairs), batch)
        inputs = torch.from_numpy(pairs[rows].astype(np.float32)).to(device)
        wanted = torch.from_numpy(tokens[rows]).to(device)
        projected = inputs @ parameters[0] + parameters[1]
        nearness = 2 * projected @ parameters[2].T - parameters[2].square().sum(dim=1)
        loss = F.cross_entropy(nearness * (16 / scale), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    map_, bias, centroids = (one.detach().cpu() for one in parameters)
    return map_, bias, centroids


def hear(pairs: np.ndarray, map_: Tensor, bias: Tensor, centroids: Tensor) -> np.ndarray:
    """What inference finds: the nearest centroid of every row."""
    found = [
        nearest_centroid(torch.from_numpy(part.astype(np.float32)) @ map_ + bias, centroids) for part in _parts(pairs)
    ]
    return torch.cat(found).numpy()


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, max(1, len(rows) // 20_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with utterances")
    parser.add_argument("--encoder", type=Path, help="folder of config.json and model.safetensors; else the start's")
    parser.add_argument("--start", type=Path, help="exported folder whose token numbers are to keep their meaning")
    parser.add_argument("--continuation", type=Path, help="its continue.safetensors, where that lies elsewhere")
    parser.add_argument("--tuning-steps", type=int, default=600)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    device = choose_device(arguments.device, arguments.threads)
    utterances = read_utterances(arguments.data)
    audio = np.load(arguments.data / "audio.npy", mmap_mode="r")
    if arguments.encoder is None and arguments.start is None:
        parser.error("needs --encoder or --start")
    encoder = read_token_encoder(arguments.encoder or arguments.start / "token-encoder").eval().to(device)
    features = pair_features(encoder, utterances, audio, device)
    phonemes = np.concatenate([token_phonemes(one) for one in utterances])
    initial = None
    if arguments.start is not None:
        token_classes = continuation_of(arguments.start, arguments.continuation).token_classes.numpy()
        own = features
        if arguments.encoder is not None:
            own = pair_features(
                read_token_encoder(arguments.start / "token-encoder").eval().to(device), utterances, audio, device
            )
        spoken = spoken_rows(own, utterances)
        initial = tokens_of_voice(arguments.start, token_classes, utterances, spoken), token_classes
    spoken = spoken_rows(features, utterances)
    made = make_quantiser(spoken, phonemes, seed=5, tuning_steps=arguments.tuning_steps, device=device, initial=initial)
    heard = hear(np.concatenate(features), _map_of(made.weight), made.bias, made.centroids)
    write_tokens(
        arguments.data,
        np.split(made.tokens, np.cumsum([len(one.aligned) for one in utterances])[:-1]),
        np.split(heard, np.cumsum([len(rows) for rows in features])[:-1]),
    )
    np.save(arguments.data / "token_classes.npy", made.classes)
    state = codebook_state(made.centroids, torch.bincount(torch.from_numpy(made.tokens), minlength=TOKENS))
    torch.save(state | {"ssl_proj.weight": made.weight, "ssl_proj.bias": made.bias}, arguments.data / "quantiser.pt")
    held_out = np.concatenate([np.full(len(one.aligned), one.held_out) for one in utterances])
    same = made.classes[made.heard] == phonemes
    print(
        json.dumps(
            {
                "tokens": len(made.tokens),
                "used": len(np.unique(made.tokens)),
                "heard_right": round(float((made.heard == made.tokens)[~held_out].mean()), 4),
                "heard_phoneme_right": round(float(same[~held_out].mean()), 4),
                "held_out_heard_right": round(float((made.heard == made.tokens)[held_out].mean()), 4),
                "held_out_heard_phoneme_right": round(float(same[held_out].mean()), 4),
            }
        )
    )


if __name__ == "__main__":
    main()
