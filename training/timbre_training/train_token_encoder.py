"""Trains the semantic-token encoder on aligned phonemes: `python -m timbre_training.train_token_encoder ...`."""

import argparse
import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn import functional as F

from .audio import SAMPLE_RATE_HZ
from .continuation import continuation_of
from .corpora import NOT_LEARNT
from .dataset import PHONEME_FRAME, Dataset, Item, read_dataset
from .phonemes import PUNCTUATION
from .run import Run, autocast, batches, choose_device, generator, learning_rate, update_average
from .spectrogram import log_mel
from .token_encoder import TokenEncoder, TokenEncoderSizes, read_token_encoder

SILENCE = "<blank>"
FRAMES = 160  # of 20 ms in every example
_MEL_CENTRE, _MEL_SCALE = -4.0, 2.5
_SPEEDS = ((7, 8), (8, 9), (9, 10), (10, 9), (9, 8), (8, 7))


@dataclass(frozen=True)
class TokenEncoderOptions:
    """What a run is trained with."""

    seed: int = 1
    batch: int = 12
    peak_rate: float = 6e-4
    warm_up: int = 100
    half_life: float = 2_500
    mel: float = 0.5
    local_mel: float = 0.2
    smoothing: float = 0.05
    changed: float = 0.5  # share of examples whose speed, noise and colour are changed


class Heads(nn.Module):
    """What the features are asked for: the phoneme with its tone or stress, and the spectrum."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.phoneme = nn.Linear(width, classes)
        self.mel = nn.Linear(width, 80)
        self.local_mel = nn.Linear(width, 80)


def phoneme_classes(items: list[Item]) -> list[str]:
    """Silence, then every sounding phoneme of the corpus."""
    return [SILENCE, *sorted({symbol for item in items for symbol in item.phonemes if symbol not in PUNCTUATION})]


def frame_labels(item: Item, alignment: np.ndarray, index: dict[str, int]) -> np.ndarray:
    """The class of every 20 ms frame of an item; frames the alignment does not reach are silence."""
    labels = np.zeros(item.length // PHONEME_FRAME, dtype=np.int64)
    known = alignment[: len(labels)]
    sounding = known >= 0
    symbols = np.array([index.get(symbol, 0) for symbol in item.phonemes])
    labels[: len(known)][sounding] = symbols[known[sounding]]
    return labels


class FrameExamples:
    """Batches of 3.2 s by step: English, and Mandarin words set beside each other."""

    def __init__(self, dataset: Dataset, classes: list[str], options: TokenEncoderOptions) -> None:
        self.dataset, self.options = dataset, options
        index = {symbol: number for number, symbol in enumerate(classes)}
        self.labels = {
            item.id: frame_labels(item, dataset.alignment[item.id], index)
            for item in dataset.items
            if item.id in dataset.alignment
        }
        self.groups: list[list[Item]] = []
        for speaker in dict.fromkeys(item.speaker for item in dataset.items if item.speaker not in NOT_LEARNT):
            self.groups.append(
                [i for i in dataset.items if i.speaker == speaker and not i.held_out and i.id in self.labels]
            )

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Samples [batch, 51200] and classes [batch, 160]."""
        rng = generator(self.options.seed, step)
        rows = [self._example(self.groups[self._group(number)], rng) for number in range(self.options.batch)]
        samples, labels = zip(*rows, strict=True)
        return torch.from_numpy(np.stack(samples)), torch.from_numpy(np.stack(labels))

    def _group(self, number: int) -> int:
        # Speakers with little material come once in a batch, the first two share the rest.
        extra = len(self.groups) - 2
        return 2 + number if number < extra else number % min(2, len(self.groups))

    def _example(self, group: list[Item], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pieces: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        needed = FRAMES * 8 // 7 + 1
        while sum(map(len, labels)) < needed:
            item = group[int(rng.integers(len(group)))]
            spoken = self.labels[item.id]
            pieces.append(self.dataset.samples(item)[: len(spoken) * PHONEME_FRAME])
            labels.append(spoken)
            if rng.random() < 0.4:
                silence = int(rng.integers(1, 12))
                pieces.append(rng.standard_normal(silence * PHONEME_FRAME, dtype=np.float32) * np.float32(1e-3))
                labels.append(np.zeros(silence, dtype=np.int64))
        samples, classes = np.concatenate(pieces), np.concatenate(labels)
        first = int(rng.integers(0, len(classes) - needed + 1))
        classes = classes[first : first + needed]
        samples = samples[first * PHONEME_FRAME : (first + needed) * PHONEME_FRAME]
        if rng.random() < self.options.changed:
            samples, classes = changed(samples, classes, rng)
        samples = samples[: FRAMES * PHONEME_FRAME] * np.float32(rng.uniform(0.6, 1.3))
        return samples.astype(np.float32), classes[:FRAMES]


def changed(samples: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same words by another voice in another room: speed with pitch, spectral tilt, noise."""
    up, down = _SPEEDS[int(rng.integers(len(_SPEEDS)))]
    samples = resample_poly(samples, up, down).astype(np.float32)
    count = len(samples) // PHONEME_FRAME
    labels = labels[np.minimum(((np.arange(count) + 0.5) * down / up).astype(int), len(labels) - 1)]
    tilt = np.float32(rng.uniform(-0.5, 0.5))
    samples = samples + tilt * np.concatenate([samples[:1], samples[:-1]])
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(15, 45) / 20)
    return samples + rng.standard_normal(len(samples), dtype=np.float32) * np.float32(level), labels


class TokenEncoderTraining:
    """Encoder, heads, averaged weights and optimiser, and one step of training."""

    def __init__(
        self, sizes: TokenEncoderSizes, classes: int, options: TokenEncoderOptions, device: torch.device
    ) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device = options, device
        self.model = nn.ModuleDict({"encoder": TokenEncoder(sizes), "heads": Heads(sizes.hidden_size, classes)}).to(
            device
        )
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), options.peak_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )

    def state(self) -> dict[str, object]:
        """Everything a resumed run needs."""
        names = ("model", "average", "optimiser")
        return {name: getattr(self, name).state_dict() for name in names}

    def restore(self, state: dict[str, object]) -> None:
        """Takes over a saved state."""
        for name in ("model", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])

    def start_from(self, encoder: TokenEncoder, heads: dict[str, Tensor]) -> None:
        """Takes over an earlier encoder, and its heads where they know the same phonemes."""
        self.model["encoder"].load_state_dict(encoder.state_dict())
        own = self.model["heads"].state_dict()
        if {name: value.shape for name, value in heads.items()} == {name: value.shape for name, value in own.items()}:
            self.model["heads"].load_state_dict(heads)
        self.average.load_state_dict(self.model.state_dict())

    def step(self, samples: Tensor, labels: Tensor, step: int) -> dict[str, float]:
        """One update; returns losses and the share of frames whose phoneme is right."""
        options = self.options
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(options.peak_rate, step, warm_up=options.warm_up, half_life=options.half_life)
        self.model.train()
        encoder, heads = self.model["encoder"], self.model["heads"]
        with torch.no_grad():
            mel = (log_mel(samples, 1024, PHONEME_FRAME, 80, SAMPLE_RATE_HZ, 1e-4) - _MEL_CENTRE) / _MEL_SCALE
        with autocast(self.device):
            local = encoder.local(samples)
            features = encoder.encoder(local, None)
            scores, mel_guess, local_guess = heads.phoneme(features), heads.mel(features), heads.local_mel(local)
        frames = min(scores.shape[1], labels.shape[1])
        target = mel.transpose(1, 2)[:, :frames]
        labels = labels[:, :frames]
        scores = scores[:, :frames].float()
        losses = {
            "phoneme": F.cross_entropy(scores.transpose(1, 2), labels, label_smoothing=options.smoothing),
            "mel": F.l1_loss(mel_guess[:, :frames].float(), target),
            "local_mel": F.l1_loss(local_guess[:, :frames].float(), target),
        }
        total = losses["phoneme"] + options.mel * losses["mel"] + options.local_mel * losses["local_mel"]
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimiser.step()
        update_average(self.average, self.model, step, 0.998)
        right = (scores.argmax(-1) == labels).float().mean()
        return {name: float(value.detach()) for name, value in losses.items()} | {"right": float(right)}

    @torch.no_grad()
    def held_out(self, dataset: Dataset, classes: list[str]) -> dict[str, float]:
        """Share of frames right in held-out recordings by language, with the averaged weights."""
        index = {symbol: number for number, symbol in enumerate(classes)}
        right: dict[str, list[float]] = {}
        for item in dataset.items:
            if not item.held_out:
                continue
            labels = torch.from_numpy(frame_labels(item, dataset.alignment[item.id], index))
            features = self.average["encoder"](torch.from_numpy(dataset.samples(item))[None].to(self.device))
            guess = self.average["heads"].phoneme(features)[0].argmax(-1).cpu()
            frames = min(len(guess), len(labels))
            right.setdefault(item.language, []).append(float((guess[:frames] == labels[:frames]).float().mean()))
        return {f"held_out_{language}": round(float(np.mean(values)), 4) for language, values in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with alignment")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint.pt and metrics.jsonl")
    parser.add_argument("--start", type=Path, help="exported folder to begin a new run with")
    parser.add_argument("--continuation", type=Path, help="its continue.safetensors, where that lies elsewhere")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="times the batch of 12")
    arguments = parser.parse_args()
    device = choose_device(arguments.device, arguments.threads)
    options = replace(TokenEncoderOptions(), batch=12 * arguments.scale)
    dataset = read_dataset(arguments.data)
    classes = phoneme_classes(dataset.items)
    run = Run(arguments.run, seed=options.seed, last_step=arguments.steps, minutes=arguments.minutes)
    (run.folder / "classes.json").write_text(json.dumps(classes, ensure_ascii=False), encoding="utf-8")
    training = TokenEncoderTraining(TokenEncoderSizes(), len(classes), options, device)
    state = run.load()
    if state is not None:
        training.restore(state)
    elif arguments.start is not None:
        heads = continuation_of(arguments.start, arguments.continuation).heads
        training.start_from(read_token_encoder(arguments.start / "token-encoder"), heads)
    take = batches(FrameExamples(dataset, classes, options), run, ahead=8 if device.type == "cuda" else 0)
    for step in run.steps(training.state):
        samples, labels = take(step)
        run.note(training.step(samples.to(device), labels.to(device), step))
        if (step + 1) % 500 == 0:
            run.write(training.held_out(dataset, classes))
    run.write(training.held_out(dataset, classes))


if __name__ == "__main__":
    main()
