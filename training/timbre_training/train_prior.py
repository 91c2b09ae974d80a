"""Sharpens what tokens and phonemes ask of the decoder: `python -m timbre_training.train_prior --data DIR --run DIR --voice RUN`.

A prior that learns by distances alone asks for the mean of all that its tokens may stand for, and a mean is not understood:
recognisers hear the envelope of the spectrum, whatever excites it. Here the prior learns the envelope of the recordings and
how far it is to move, through a small network that stands for the decoder (`envelope.py`), so that a step costs a third of
one through the decoder and sees four times the speech. Decoder, flow and the rest stay as they are. The checkpoint has the
layout of a SoVITS run's, for the export and for going on with the whole model.
"""

import argparse
import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .envelope import PER_FRAME, EnvelopeExample, EnvelopeModel, envelope_example, fit_envelopes
from .losses import cepstra, guide_loss
from .run import Run, choose_device, generator, update_average
from .sovits import Sovits, SovitsSizes, length_mask
from .spectrogram import magnitude
from .train_sovits import REFERENCE, WINDOW, SovitsBatch, SovitsBatches, SovitsOptions
from .utterances import Corpus, read_corpus, samples_of

_AVERAGE_DECAY = 0.99
_EDGE = 4  # frames at either end of a window that are not judged


@dataclass(frozen=True)
class PriorOptions:
    """What a run is trained with."""

    seed: int = 1
    batch: int = 8
    steps: int = 1500  # the rate falls to nothing by then
    peak_rate: float = 5e-4
    warm_up: int = 30
    heard_share: float = 0.15
    movement: float = 1.0  # of how far the cepstra move against how far people's do
    tie: float = 0.07  # to the latents before, which are all that the decoder knows
    guide: float = 0.1


class PriorTraining:
    """Model with a trained prior, the prior before, the stand-in for the decoder, and one step of training."""

    def __init__(self, sizes: SovitsSizes, options: PriorOptions, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.model = Sovits(sizes).to(device).eval().requires_grad_(False)
        self.average = copy.deepcopy(self.model)
        self.before = copy.deepcopy(self.model.enc_p)
        self.envelopes = EnvelopeModel(sizes.inter_channels, sizes.gin_channels).to(device)
        self.trained = list(self.model.enc_p.requires_grad_(True).parameters())
        self.maker = torch.optim.AdamW(self.trained, options.peak_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.judges: dict[str, Tensor] = {}  # kept for the next training of the whole model

    def state(self) -> dict[str, object]:
        """Everything a resumed run needs, in full precision."""
        names = ("model", "average", "before", "envelopes", "maker")
        return {name: getattr(self, name).state_dict() for name in names} | {"judges": self.judges}

    def restore(self, state: dict[str, object]) -> None:
        """Takes over a saved state."""
        for name in ("model", "average", "before", "envelopes", "maker"):
            getattr(self, name).load_state_dict(state[name])
        self.judges = state["judges"]

    def start_from(self, state: dict[str, object]) -> None:
        """Begins where a run of SoVITS, or of this stage, stands: its averaged weights and its judges."""
        for module in (self.model, self.average):
            module.load_state_dict(state["average"])
        self.before.load_state_dict(self.model.enc_p.state_dict())
        self.judges = state["judges"]

    def fit_envelopes(self, corpus: Corpus, utterances: int, steps: int) -> float:
        """Shows the stand-in what the decoder makes of latents of recordings and of tokens; returns how far it is off."""
        random = generator(self.options.seed, 0, stream=2)
        groups = [
            [one for one in corpus.utterances if one.language == language and not one.held_out]
            for language in ("en", "zh")
        ]
        examples: list[EnvelopeExample | None] = []
        for number in range(utterances):
            group = groups[number % 2]
            one = group[int(random.integers(len(group)))]
            latent, ge = self._latent(corpus, one.id, recorded=number % 3 == 0)
            examples += [envelope_example(self.model, latent, ge, random) for _ in range(2)]
        return fit_envelopes(self.envelopes, [one for one in examples if one is not None], steps)

    @torch.no_grad()
    def _latent(self, corpus: Corpus, number: int, *, recorded: bool) -> tuple[Tensor, Tensor]:
        model, utterance = self.model, corpus.utterances[number]
        spoken = torch.from_numpy(samples_of(utterance, corpus.audio, generator(self.options.seed, number, stream=1)))
        spectrogram = magnitude(spoken[None], model.sizes.filter_length, model.sizes.hop_length)
        mask = torch.ones(1, 1, spectrogram.shape[2])
        ge = model.global_embedding(spectrogram, mask)
        if recorded:
            return model.enc_q(spectrogram, mask, ge)[0][0], ge[0]
        tokens, phonemes = torch.from_numpy(corpus.tokens[number])[None], torch.tensor(utterance.ids)[None]
        return model.latent(tokens, phonemes, ge, noise_scale=0.0)[0], ge[0]

    def step(self, batch: SovitsBatch, step: int) -> dict[str, float]:
        """One update of the prior; returns the losses."""
        options, model, sizes = self.options, self.model, self.model.sizes
        rate = options.peak_rate * falling(step, options.steps, options.warm_up)
        for group in self.maker.param_groups:
            group["lr"] = rate
        mask = length_mask(batch.lengths, WINDOW)
        phoneme_mask = length_mask(batch.phoneme_lengths, batch.phonemes.shape[1])
        with torch.no_grad():
            wanted = cepstra(batch.samples, sizes.sampling_rate)
            reference = magnitude(batch.references, sizes.filter_length, sizes.hop_length)
            ge = model.global_embedding(reference, length_mask(batch.reference_lengths, REFERENCE))
            given = (model.token_features(batch.tokens), mask, batch.phonemes, phoneme_mask, ge)
            before = model.flow(self.before(*given)[0], mask, ge, inverse=True)
        mean, _, attention = model.enc_p(*given)
        latent = model.flow(mean, mask, ge, inverse=True)
        asked = self.envelopes(latent, ge)
        judged = mask.clone()
        judged[:, :, :_EDGE] = judged[:, :, -_EDGE:] = 0
        judged = judged.repeat_interleave(PER_FRAME, dim=2)
        aligned = batch.aligned.repeat_interleave(2, dim=1).masked_fill(mask[:, 0] == 0, -1)
        moved, people_moved = (movement(x, judged) for x in (asked, wanted))
        losses = {
            "cepstral": ((asked - wanted).abs() * judged).sum() / judged.sum() / asked.shape[1],
            "movement": (moved - people_moved).abs()[:, 1:].mean(),
            "tie": ((latent - before).square() * mask).sum() / mask.sum() / latent.shape[1],
            "guide": guide_loss(attention, aligned),
        }
        for parameter in self.trained:
            parameter.grad = None
        sum(getattr(options, name, 1.0) * value for name, value in losses.items()).backward(inputs=self.trained)
        norm = torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        if torch.isfinite(norm):
            self.maker.step()
        update_average(self.average.enc_p, model.enc_p, step, _AVERAGE_DECAY)
        losses["moved_share"] = moved.sum() / people_moved.sum()
        return {name: float(value.detach()) for name, value in losses.items()} | {"norm": float(norm), "rate": rate}


def movement(values: Tensor, mask: Tensor) -> Tensor:
    """How far values [batch, n, time] spread around their mean where the mask is 1: [batch, n]."""
    count = mask.sum(dim=2, keepdim=True).clamp_min(1)
    middle = (values * mask).sum(dim=2, keepdim=True) / count
    return (((values - middle).square() * mask).sum(dim=2) / count[:, :, 0] + 1e-3).sqrt()


def falling(step: int, steps: int, warm_up: int) -> float:
    """Share of the peak rate: a short rise, level for two fifths of the steps, then straight down to nothing."""
    return min(1.0, (step + 1) / warm_up) * min(1.0, max(0.0, (1 - step / steps) / 0.6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with utterances and tokens")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint.pt and metrics.jsonl")
    parser.add_argument("--voice", type=Path, required=True, help="folder of the SoVITS run to begin with")
    parser.add_argument("--steps", type=int, default=PriorOptions.steps)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=PriorOptions.batch)
    parser.add_argument("--rate", type=float, default=PriorOptions.peak_rate)
    parser.add_argument("--envelope-utterances", type=int, default=320)
    parser.add_argument("--envelope-steps", type=int, default=900)
    arguments = parser.parse_args()
    device = choose_device("cpu", arguments.threads)
    options = replace(PriorOptions(), batch=arguments.batch, peak_rate=arguments.rate, steps=arguments.steps)
    run = Run(arguments.run, seed=options.seed, last_step=arguments.steps, minutes=arguments.minutes)
    training = PriorTraining(SovitsSizes(), options, device)
    corpus = read_corpus(arguments.data)
    state = run.load()
    if state is not None:
        training.restore(state)
    else:
        training.start_from(torch.load(arguments.voice / "checkpoint.pt", map_location="cpu", weights_only=True))
        off = training.fit_envelopes(corpus, arguments.envelope_utterances, arguments.envelope_steps)
        run.write({"envelopes": round(off, 4)})
    drawn = replace(
        SovitsOptions(), seed=options.seed, batch=options.batch, coloured=0.0, heard_share=options.heard_share
    )
    make = SovitsBatches(corpus, training.model.sizes, drawn)
    for step in run.steps(training.state):
        run.note(training.step(make(step), step))


if __name__ == "__main__":
    main()
