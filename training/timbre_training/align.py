"""When each phoneme sounds: a flat-start hidden Markov model per speaker, `python -m timbre_training.align --data DIR`.

Every phoneme, without tone or stress, is two states with a diagonal Gaussian over 39 cepstral features each 10 ms;
silence may stand between any two phonemes, cheaply where the text has punctuation.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.fft import dct

from .audio import SAMPLE_RATE_HZ
from .dataset import PHONEME_FRAME, Dataset, Item, read_dataset, write_alignment
from .phonemes import PUNCTUATION, without_tone_or_stress
from .spectrogram import log_mel

_HOP = 160
_STATES = 2
_FEATURES = 39
_IMPOSSIBLE = np.float32(-1e9)
_STAY, _MOVE, _UNWRITTEN_PAUSE = np.float32(-0.05), np.float32(-1.0), np.float32(-4.0)


@dataclass(frozen=True)
class Chain:
    """The states an item passes through: their numbers, the phoneme each belongs to (-1: silence), what entering costs."""

    states: np.ndarray
    owners: np.ndarray
    entry: np.ndarray

    @property
    def optional(self) -> np.ndarray:
        return self.owners < 0


def cepstra(samples: np.ndarray) -> np.ndarray:
    """13 mel cepstra every 10 ms with their first and second differences, [frames, 39]."""
    bands = log_mel(torch.from_numpy(samples)[None], 512, _HOP, 40, SAMPLE_RATE_HZ, floor=1e-3)[0].numpy().T
    base = dct(bands, type=2, norm="ortho", axis=1)[:, :13]
    first, second = np.zeros_like(base), np.zeros_like(base)
    first[1:-1] = base[2:] - base[:-2]
    second[2:-2] = (base[4:] - base[:-4]) / 4
    return np.concatenate([base, first, second], axis=1).astype(np.float32)


def align_items(dataset: Dataset, items: list[Item], rounds: int) -> dict[str, np.ndarray]:
    """Phoneme index of every 20 ms frame of items of one speaker, -1 for silence."""
    sounds = sorted({without_tone_or_stress(p) for item in items for p in item.phonemes if p not in PUNCTUATION})
    numbers = {sound: number for number, sound in enumerate(sounds)}
    chains = [chain_of(item, numbers) for item in items]
    features = [cepstra(dataset.samples(item)) for item in items]
    spread = np.concatenate(features).std(axis=0)
    features = [one / spread for one in features]
    silence = _STATES * len(sounds)
    labels = [_even_shares(one, chain, silence) for one, chain in zip(features, chains, strict=True)]
    owners: list[np.ndarray] = []
    for _ in range(rounds):
        scorer = fit_states(np.concatenate(features), np.concatenate(labels), silence + 1)
        paths = best_paths([score(scorer, one) for one in features], chains)
        labels = [chain.states[path] for chain, path in zip(chains, paths, strict=True)]
        owners = [chain.owners[path] for chain, path in zip(chains, paths, strict=True)]
    # The second of each two 10 ms frames stands for its 20 ms.
    return {
        item.id: owner[1::2][: item.length // PHONEME_FRAME].astype(np.int16)
        for item, owner in zip(items, owners, strict=True)
    }


def chain_of(item: Item, numbers: dict[str, int]) -> Chain:
    """Silence, then every sounding phoneme's states followed by silence."""
    silence = _STATES * len(numbers)
    states, owners, entry = [silence], [-1], [np.float32(0)]
    for index, symbol in enumerate(item.phonemes):
        if symbol in PUNCTUATION:
            continue
        number = numbers[without_tone_or_stress(symbol)]
        pause = index + 1 < len(item.phonemes) and item.phonemes[index + 1] in PUNCTUATION
        states += [_STATES * number + state for state in range(_STATES)] + [silence]
        owners += [index] * _STATES + [-1]
        entry += [np.float32(0)] * _STATES + [np.float32(0) if pause else _UNWRITTEN_PAUSE]
    return Chain(np.array(states), np.array(owners), np.array(entry, dtype=np.float32))


def fit_states(features: np.ndarray, labels: np.ndarray, states: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians of the labelled frames as a linear scorer of [x * x, x]: weights [78, states] and offsets [states]."""
    counts = np.bincount(labels, minlength=states)[:, None] + 1e-3
    sums = np.stack([np.bincount(labels, features[:, d], states) for d in range(_FEATURES)], axis=1)
    squares = np.stack([np.bincount(labels, features[:, d] ** 2, states) for d in range(_FEATURES)], axis=1)
    mean, variance = features.mean(axis=0), features.var(axis=0)
    # Five frames of the average sound in every state, and a floor of 8 % of the overall variance.
    means = (sums + 5 * mean) / (counts + 5)
    variances = np.maximum((squares + 5 * (variance + mean**2)) / (counts + 5) - means**2, 0.08 * variance)
    weights = np.concatenate([-0.5 / variances, means / variances], axis=1).T
    offsets = -0.5 * (means**2 / variances + np.log(variances)).sum(axis=1)
    return weights.astype(np.float32), offsets.astype(np.float32)


def score(scorer: tuple[np.ndarray, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Log likelihood of every state in every frame, up to a constant."""
    weights, offsets = scorer
    return np.concatenate([features * features, features], axis=1) @ weights + offsets


def best_paths(scores: list[np.ndarray], chains: list[Chain], together: int = 96) -> list[np.ndarray]:
    """Viterbi: the chain position of every frame; items of similar length are searched together."""
    paths: list[np.ndarray] = [np.empty(0, dtype=int)] * len(scores)
    order = sorted(range(len(scores)), key=lambda index: len(scores[index]))
    for at in range(0, len(order), together):
        group = order[at : at + together]
        found = _search([scores[index] for index in group], [chains[index] for index in group])
        for index, path in zip(group, found, strict=True):
            paths[index] = path
    return paths


def _search(scores: list[np.ndarray], chains: list[Chain]) -> list[np.ndarray]:
    lengths = np.array([len(one) for one in scores])
    width = max(len(chain.states) for chain in chains)
    emitted = np.full((lengths.max(), len(scores), width), _IMPOSSIBLE, dtype=np.float32)
    entry = np.zeros((len(scores), width), dtype=np.float32)
    may_skip = np.zeros((len(scores), width), dtype=bool)
    for row, (one, chain) in enumerate(zip(scores, chains, strict=True)):
        count = len(chain.states)
        emitted[: len(one), row, :count] = one[:, chain.states]
        entry[row, :count] = chain.entry
        may_skip[row, 2:count] = chain.optional[1 : count - 1]
    best = np.full((len(scores), width), _IMPOSSIBLE, dtype=np.float32)
    best[:, :2] = emitted[0, :, :2]
    came = np.zeros(emitted.shape, dtype=np.int8)
    for frame in range(1, len(emitted)):
        moved, skipped = np.full_like(best, _IMPOSSIBLE), np.full_like(best, _IMPOSSIBLE)
        moved[:, 1:] = best[:, :-1] + _MOVE
        skipped[:, 2:] = np.where(may_skip[:, 2:], best[:, :-2] + _MOVE, _IMPOSSIBLE)
        ways = np.stack([best + _STAY, moved + entry, skipped])
        came[frame] = ways.argmax(axis=0)
        reached = ways.max(axis=0) + emitted[frame]
        best = np.where((frame < lengths)[:, None], reached, best)
    return [_trace(came[:, row], best[row], len(chain.states), lengths[row]) for row, chain in enumerate(chains)]


def _trace(came: np.ndarray, best: np.ndarray, states: int, length: int) -> np.ndarray:
    at = states - 1 if best[states - 1] > best[states - 2] else states - 2
    path = np.zeros(length, dtype=int)
    for frame in range(length - 1, -1, -1):
        path[frame] = at
        at -= int(came[frame, at])
    return path


def _even_shares(features: np.ndarray, chain: Chain, silence: int) -> np.ndarray:
    """First labels: the loud part shared out evenly among the phonemes' states."""
    level = features[:, 0]
    low, high = np.percentile(level, 2), np.percentile(level, 95)
    loud = np.flatnonzero(level > high - 0.45 * (high - low))
    first, last = int(loud[0]), int(loud[-1]) + 1
    sounding = chain.states[~chain.optional]
    labels = np.full(len(features), silence)
    labels[first:last] = sounding[np.arange(last - first) * len(sounding) // (last - first)]
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = read_dataset(arguments.data)
    alignment: dict[str, np.ndarray] = {}
    for speaker in dict.fromkeys(item.speaker for item in dataset.items):
        found = align_items(dataset, [item for item in dataset.items if item.speaker == speaker], arguments.rounds)
        silent = float(np.concatenate([frames < 0 for frames in found.values()]).mean())
        print(json.dumps({"speaker": speaker, "items": len(found), "silent": round(silent, 3)}), flush=True)
        alignment |= found
    write_alignment(arguments.data, alignment)


if __name__ == "__main__":
    main()
