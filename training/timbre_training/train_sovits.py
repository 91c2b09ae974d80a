"""Trains SoVITS with its judges: `python -m timbre_training.train_sovits --data DIR --run DIR`."""

import argparse
import copy
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor

from .continuation import continuation_of, with_spread
from .discriminators import Judges, feature_loss, fooling_loss, judging_loss
from .losses import divergence, fine_mel_loss, guide_loss, harmonic_loss, mel_loss
from .quantiser import CODEBOOK
from .run import Run, autocast, batches, choose_device, generator, learning_rate, update_average
from .sovits import Sovits, SovitsSizes, length_mask
from .spectrogram import magnitude
from .utterances import Corpus, Utterance, read_corpus, samples_of

WINDOW, REFERENCE = 64, 72  # frames of 20 ms that the encoders see, and that the style encoder hears
_SPEEDS = ((5, 6), (7, 8), (8, 7), (6, 5))
_AVERAGE_DECAY = 0.999


@dataclass(frozen=True)
class SovitsOptions:
    """What a run is trained with."""

    seed: int = 1
    batch: int = 16
    peak_rate: float = 3e-4
    warm_up: int = 100
    half_life: float = 15_000
    judges_from: int = 0
    heard_share: float = 0.25
    coloured: float = 0.1  # share of examples by a larger or smaller speaker, which only the reference tells
    direct_share: float = 0.75  # of the rows whose latent comes from tokens and phonemes, as when speaking
    direct_noise: float = 0.5
    mel: float = 45.0
    fine_mel: float = 15.0
    harmonic: float = 15.0
    guide: float = 0.5


@dataclass(frozen=True)
class SovitsBatch:
    """Windows of speech [b, samples], lengths in frames, references, tokens, phonemes and their alignment."""

    samples: Tensor
    lengths: Tensor
    references: Tensor
    reference_lengths: Tensor
    tokens: Tensor
    phonemes: Tensor
    phoneme_lengths: Tensor
    aligned: Tensor
    slices: Tensor

    def to(self, device: torch.device) -> "SovitsBatch":
        return SovitsBatch(*(getattr(self, one.name).to(device) for one in fields(self)))


class SovitsBatches:
    """Batches by step: half English, half Mandarin, utterances by their length."""

    def __init__(self, corpus: Corpus, sizes: SovitsSizes, options: SovitsOptions) -> None:
        self.corpus, self.sizes, self.options = corpus, sizes, options
        self.groups: list[tuple[list[Utterance], np.ndarray]] = []
        for language in ("en", "zh"):
            group = [one for one in corpus.utterances if one.language == language and not one.held_out]
            if group:
                weights = np.array([min(8.0, one.length / sizes.sampling_rate) for one in group])
                self.groups.append((group, weights / weights.sum()))

    def __call__(self, step: int) -> SovitsBatch:
        rng = generator(self.options.seed, step)
        rows = [self._example(index, rng) for index in range(self.options.batch)]
        samples, lengths, references, reference_lengths, tokens, phonemes, aligned, slices = zip(*rows, strict=True)
        longest = max(len(ids) for ids in phonemes)
        return SovitsBatch(
            torch.from_numpy(np.stack(samples)), torch.tensor(lengths),
            torch.from_numpy(np.stack(references)), torch.tensor(reference_lengths),
            torch.from_numpy(np.stack(tokens)),
            torch.tensor([ids + [0] * (longest - len(ids)) for ids in phonemes]),
            torch.tensor([len(ids) for ids in phonemes]),
            torch.from_numpy(np.stack(aligned)), torch.tensor(slices),
        )  # fmt: skip

    def _example(self, index: int, rng: np.random.Generator) -> tuple[object, ...]:
        group, weights = self.groups[index % len(self.groups)]
        utterance = group[int(rng.choice(len(group), p=weights))]
        hop = self.sizes.hop_length
        spoken = samples_of(utterance, self.corpus.audio, rng)
        readings = self.corpus.heard if rng.random() < self.options.heard_share else self.corpus.tokens
        said, aligned = readings[utterance.id], np.array(utterance.aligned)
        if rng.random() < self.options.coloured:
            spoken, places = coloured(spoken, len(said), rng)
            said, aligned = said[places], aligned[places]
        frames = min(len(spoken) // hop // 2 * 2, 2 * len(said))
        first, length = _window(frames, WINDOW, rng)
        reference_first, reference_length = _window(frames, REFERENCE, rng)
        part = slice(first // 2, first // 2 + WINDOW // 2)
        return (
            _padded(spoken[first * hop : (first + length) * hop], WINDOW * hop, 0), length,
            _padded(spoken[reference_first * hop : (reference_first + reference_length) * hop], REFERENCE * hop, 0),
            reference_length, _padded(said[part], WINDOW // 2, 0), utterance.ids,
            _padded(aligned[part], WINDOW // 2, -1),
            int(rng.integers(0, max(1, length - self.sizes.segment_frames + 1))),
        )  # fmt: skip


def coloured(spoken: np.ndarray, tokens: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same words by a larger or smaller speaker: speech at another speed, and which token sounds in each place."""
    up, down = _SPEEDS[int(rng.integers(len(_SPEEDS)))]
    changed = resample_poly(spoken, up, down).astype(np.float32)
    places = ((np.arange(tokens * up // down) + 0.5) * down / up).astype(int)
    return changed, np.minimum(places, tokens - 1)


def _window(frames: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """An even first frame and a length, at most `size` frames of an utterance."""
    first = int(rng.integers(0, (frames - size) // 2 + 1)) * 2 if frames > size else 0
    return first, min(size, frames)


def _padded(values: np.ndarray, size: int, fill: int) -> np.ndarray:
    return np.pad(values[:size], (0, max(0, size - len(values))), constant_values=fill)


class SovitsTraining:
    """Model, judges, averaged weights and optimisers, and one step of training."""

    def __init__(self, sizes: SovitsSizes, options: SovitsOptions, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device = options, device
        self.model = Sovits(sizes).to(device)
        self.judges = Judges().to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        for part in (self.model.ssl_proj, self.model.quantizer):
            part.requires_grad_(False)
        self.trained = [one for one in self.model.parameters() if one.requires_grad]
        self.maker = torch.optim.AdamW(
            self.trained, options.peak_rate, betas=(0.8, 0.99), weight_decay=0.01, fused=True
        )
        self.judge = torch.optim.AdamW(
            self.judges.parameters(), options.peak_rate, betas=(0.8, 0.99), weight_decay=0.01, fused=True
        )

    def state(self) -> dict[str, object]:
        """Everything a resumed run needs, in full precision."""
        return {
            "model": self.model.state_dict(), "average": self.average.state_dict(),
            "judges": self.judges.state_dict(), "maker": self.maker.state_dict(), "judge": self.judge.state_dict(),
        }  # fmt: skip

    def restore(self, state: dict[str, object]) -> None:
        """Takes over a saved state."""
        for name in ("model", "average", "judges", "maker", "judge"):
            getattr(self, name).load_state_dict(state[name])

    def start_from(self, weights: dict[str, Tensor], judges: dict[str, Tensor] | None) -> None:
        """Takes over weights of an earlier model; an exported one lacks the posterior encoder, which then starts anew."""
        outcome = self.model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
        missing = [name for name in outcome.missing_keys if not name.startswith("enc_q.")]
        if missing or outcome.unexpected_keys:
            raise ValueError(
                f"not weights of this model: lacks {missing[:3]}, has {outcome.unexpected_keys[:3]} besides"
            )
        self.average.load_state_dict(self.model.state_dict())
        if judges is not None:
            self.judges.load_state_dict({name: value.float() for name, value in judges.items()})

    def use_quantiser(self, state: dict[str, Tensor]) -> None:
        """Puts the token projection and the codebook in place."""
        for module in (self.model, self.average):
            outcome = module.load_state_dict(state, strict=False)
            if outcome.unexpected_keys:
                raise ValueError(f"not a quantiser: has {outcome.unexpected_keys[:3]}")

    @torch.no_grad()
    def follow_quantiser(self, state: dict[str, Tensor]) -> None:
        """Puts a new codebook of the same numbering in place, and fits the layer that reads it (least squares by count)."""
        for module in (self.model, self.average):
            layer = module.enc_p.ssl_proj
            before, counts = module.quantizer.centroids.double(), state[CODEBOOK + "cluster_size"].double()
            after = state[CODEBOOK + "embed"].double().to(before.device)
            share = counts.clamp_min(1).sqrt()[:, None].to(before.device)
            wanted = before @ layer.weight[:, :, 0].double().T + layer.bias.double()
            inputs = torch.cat([after, torch.ones_like(after[:, :1])], dim=1)
            solution = torch.linalg.lstsq(inputs * share, wanted * share).solution
            layer.weight.copy_(solution[:-1].T.unsqueeze(2))
            layer.bias.copy_(solution[-1])
        self.use_quantiser(state)

    @torch.no_grad()
    def fit_prior(self, examples: Iterable[SovitsBatch]) -> None:
        """Fits the prior's last layer to what the posterior says of the same speech (least squares).

        Makes good what a narrower model or another quantiser spoilt, in the time of a few steps.
        """
        model = self.model.eval()
        layer, width = model.enc_p.proj, model.sizes.inter_channels
        inputs: list[Tensor] = []
        hook = layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        rows, wanted, unsure, guessed = [], [], [], []
        for batch in examples:
            speech = magnitude(batch.samples, model.sizes.filter_length, model.sizes.hop_length)
            reference = magnitude(batch.references, model.sizes.filter_length, model.sizes.hop_length)
            mask = length_mask(batch.lengths, WINDOW)
            ge = model.global_embedding(reference, length_mask(batch.reference_lengths, REFERENCE))
            mean, log_spread = model.enc_q(speech, mask, ge)
            phoneme_mask = length_mask(batch.phoneme_lengths, batch.phonemes.shape[1])
            _, prior_log, _ = model.enc_p(model.token_features(batch.tokens), mask, batch.phonemes, phoneme_mask, ge)
            sounding = mask[:, 0] > 0
            for found, values in (
                (rows, inputs.pop()), (wanted, model.flow(mean, mask, ge)), (unsure, log_spread), (guessed, prior_log),
            ):  # fmt: skip
                found.append(values.transpose(1, 2)[sounding])
        hook.remove()
        x, y = torch.cat(rows).double(), torch.cat(wanted).double()
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        gram = x.T @ x
        gram += torch.eye(len(gram), dtype=gram.dtype, device=gram.device) * (1e-4 * gram.diagonal().mean())
        solution = torch.linalg.solve(gram, x.T @ y)
        variance = (y - x @ solution).square().mean(dim=0) + torch.cat(unsure).double().mul(2).exp().mean(dim=0)
        for module in (model, self.average):
            layer = module.enc_p.proj
            layer.weight[:width] = solution[:-1].T.unsqueeze(2)
            layer.bias[:width] = solution[-1]
            layer.bias[width:] += (variance.log() / 2 - torch.cat(guessed).double().mean(dim=0)).to(layer.bias)

    def step(self, batch: SovitsBatch, step: int) -> dict[str, float]:
        """One update of judges and model; returns the losses."""
        options = self.options
        rate = learning_rate(options.peak_rate, step, warm_up=options.warm_up, half_life=options.half_life)
        for optimiser in (self.maker, self.judge):
            for group in optimiser.param_groups:
                group["lr"] = rate
        self.model.train()
        made, real, losses = self._generate(batch)
        if step >= options.judges_from:
            losses |= self._judge(real, made)
        weights = {
            "mel": options.mel,
            "fine_mel": options.fine_mel,
            "harmonic": options.harmonic,
            "guide": options.guide,
        }
        total = sum(weights.get(name, 1.0) * value for name, value in losses.items() if name != "judging")
        for parameter in self.trained:
            parameter.grad = None
        # Only the model's gradients: the judges' come from their own loss.
        total.backward(inputs=self.trained)
        norm = torch.nn.utils.clip_grad_norm_(self.trained, 500.0)
        if torch.isfinite(norm):
            self.maker.step()
        if step >= options.judges_from:
            self.judge.step()
        update_average(self.average, self.model, step, _AVERAGE_DECAY)
        return {name: float(value.detach()) for name, value in losses.items()} | {"norm": float(norm), "rate": rate}

    def _generate(self, batch: SovitsBatch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        model, sizes = self.model, self.model.sizes
        with torch.no_grad():
            spectrogram, reference = (
                magnitude(x, sizes.filter_length, sizes.hop_length) for x in (batch.samples, batch.references)
            )
            features = model.token_features(batch.tokens)
        mask = length_mask(batch.lengths, WINDOW)
        reference_mask = length_mask(batch.reference_lengths, REFERENCE)
        phoneme_mask = length_mask(batch.phoneme_lengths, batch.phonemes.shape[1])
        # The first rows learn to speak from tokens alone, the others keep posterior and prior together.
        direct = int(self.options.direct_share * len(spectrogram))
        with autocast(self.device):
            ge = model.global_embedding(reference, reference_mask).float()
            prior_mean, prior_log, attention = model.enc_p(features, mask, batch.phonemes, phoneme_mask, ge)
            prior_mean, prior_log = prior_mean.float(), prior_log.float()
            noise = torch.randn_like(prior_mean[:direct]) * self.options.direct_noise
            spoken = (prior_mean[:direct] + noise * prior_log[:direct].exp()) * mask[:direct]
            spoken = model.flow(spoken, mask[:direct], ge[:direct], inverse=True)
            mean, log_spread = (x.float() for x in model.enc_q(spectrogram[direct:], mask[direct:], ge[direct:]))
            latent = (mean + torch.randn_like(mean) * log_spread.exp()) * mask[direct:]
            moved = model.flow(latent, mask[direct:], ge[direct:])
            latent = torch.cat([spoken.float(), latent])
        hop, size = sizes.hop_length, sizes.segment_frames
        starts = batch.slices.tolist()
        latents = torch.stack([latent[row, :, at : at + size] for row, at in enumerate(starts)])
        real = torch.stack([batch.samples[row, at * hop : (at + size) * hop] for row, at in enumerate(starts)])
        with autocast(self.device):
            made = model.dec(latents, ge)
        made = made.float().squeeze(1)
        aligned = batch.aligned.repeat_interleave(2, dim=1).masked_fill(mask[:, 0] == 0, -1)
        return made, real, {
            "mel": mel_loss(real, made, sizes.sampling_rate),
            "fine_mel": fine_mel_loss(real, made, sizes.sampling_rate),
            "harmonic": harmonic_loss(real, made),
            "divergence": divergence(
                moved.float(), log_spread, prior_mean[direct:], prior_log[direct:], mask[direct:]
            ),
            "guide": guide_loss(attention, aligned),
        }  # fmt: skip

    def _judge(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """One look of the judges serves both sides: their own gradients are taken here, the model's by the caller."""
        with autocast(self.device):
            of_real, of_made = self.judges(real), self.judges(made)
        judging = judging_loss(of_real, of_made)
        parameters = list(self.judges.parameters())
        gradients = torch.autograd.grad(judging, parameters, retain_graph=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        return {
            "judging": judging.detach(), "fooling": fooling_loss(of_made), "features": feature_loss(of_real, of_made),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with utterances and tokens")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint.pt and metrics.jsonl")
    parser.add_argument("--start", type=Path, help="exported folder to begin a new run with")
    parser.add_argument("--continuation", type=Path, help="its continue.safetensors, where that lies elsewhere")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fitting", type=int, default=60, help="batches that the prior is fitted on after a start")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--scale", type=int, default=1, help="times the batch")
    parser.add_argument("--rate", type=float, default=3e-4)
    arguments = parser.parse_args()
    device = choose_device(arguments.device, arguments.threads)
    options = replace(SovitsOptions(), batch=arguments.batch * arguments.scale, peak_rate=arguments.rate)
    run = Run(arguments.run, seed=options.seed, last_step=arguments.steps, minutes=arguments.minutes)
    training = SovitsTraining(SovitsSizes(), options, device)
    state = run.load()
    if state is not None:
        training.restore(state)
    quantiser = torch.load(arguments.data / "quantiser.pt", map_location="cpu", weights_only=True)
    if state is None and arguments.start is not None:
        stored = torch.load(arguments.start / "s2.pth", map_location="cpu", weights_only=True)["weight"]
        more = continuation_of(arguments.start, arguments.continuation)
        training.start_from({**with_spread(stored, 1 / more.spread), **more.posterior}, more.judges)
        training.follow_quantiser(quantiser)
    training.use_quantiser(quantiser)
    make = SovitsBatches(read_corpus(arguments.data), training.model.sizes, options)
    if state is None and arguments.start is not None:
        training.fit_prior(make(10**9 + number).to(device) for number in range(arguments.fitting))
    take = batches(make, run, ahead=8 if device.type == "cuda" else 0)
    for step in run.steps(training.state):
        run.note(training.step(take(step).to(device), step))


if __name__ == "__main__":
    main()
