"""A small network that says which spectral envelope the waveform decoder makes of a latent, at a fiftieth of its cost."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .losses import cepstra
from .sovits import Sovits

CEPSTRA, PER_FRAME = 16, 2  # values every 10 ms
_WINDOW = 64  # frames of 20 ms of an example
_EDGE = 4  # frames at either end whose surroundings the network doesn't see
_SLOPE = 0.1


class EnvelopeModel(nn.Module):
    """Latent [batch, latent, time] and voice [batch, gin, 1] to the cepstra of the decoder's sound [batch, 16, 2 x time]."""

    def __init__(self, latent: int, conditioning: int, width: int = 160) -> None:
        super().__init__()
        self.inner = nn.Conv1d(latent, width, 7, padding=3)
        self.cond = nn.Conv1d(conditioning, width, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(2))
        self.outer = nn.Conv1d(width, CEPSTRA * PER_FRAME, 3, padding=1)

    def forward(self, latent: Tensor, ge: Tensor) -> Tensor:
        x = F.leaky_relu(self.inner(latent) + self.cond(ge), _SLOPE)
        for layer in self.layers:
            x = x + F.leaky_relu(layer(x), _SLOPE)
        batch, _, time = x.shape
        values = self.outer(x).view(batch, CEPSTRA, PER_FRAME, time)
        return values.transpose(2, 3).reshape(batch, CEPSTRA, PER_FRAME * time)


EnvelopeExample = tuple[Tensor, Tensor, Tensor]


@torch.no_grad()
def envelope_example(model: Sovits, latent: Tensor, ge: Tensor, random: np.random.Generator) -> EnvelopeExample | None:
    """A window of a latent [latent, time], most often disturbed, its voice, and the cepstra of what the decoder makes of it.

    Disturbed, because the network is to know what lies around the latents that the prior finds now. None where the latent
    is shorter than the window.
    """
    if latent.shape[1] < _WINDOW:
        return None
    at = int(random.integers(0, latent.shape[1] - _WINDOW + 1))
    window = latent[:, at : at + _WINDOW]
    if random.random() < 0.7:
        noise = torch.from_numpy(random.standard_normal((1, len(window), _WINDOW + 4), dtype=np.float32))
        smooth = F.avg_pool1d(noise, 5, 1)[0] * 5**0.5
        window = window + smooth * (0.5 * float(random.random()))
    if random.random() < 0.4:
        middle = window.mean(dim=1, keepdim=True)
        window = middle + (window - middle) * (1 + 0.6 * float(random.random()))
    return window, ge, cepstra(model.dec(window[None], ge[None])[0], model.sizes.sampling_rate)[0]


def fit_envelopes(
    model: EnvelopeModel, examples: list[EnvelopeExample], steps: int, rate: float = 2e-3, batch: int = 10
) -> float:
    """Fits the network to examples; returns the mean distance over the last tenth of the steps."""
    random = np.random.default_rng(0)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    latest: list[float] = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        chosen = [examples[int(i)] for i in random.integers(0, len(examples), batch)]
        latents, voices, wanted = (torch.stack(values) for values in zip(*chosen, strict=True))
        edge = _EDGE * PER_FRAME
        loss = (model(latents, voices) - wanted)[:, :, edge:-edge].abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step >= steps * 9 // 10:
            latest.append(float(loss.detach()))
    return float(np.mean(latest))
