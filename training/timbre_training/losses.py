"""Losses of SoVITS besides the adversarial ones."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .spectrogram import log_mel, magnitude


def mel_loss(real: Tensor, made: Tensor, rate: int) -> Tensor:
    """L1 of 80 log-mel bands every 10 ms."""
    return F.l1_loss(*(log_mel(x, 1024, 160, 80, rate) for x in (made, real)))


def fine_mel_loss(real: Tensor, made: Tensor, rate: int) -> Tensor:
    """L1 of 32 log-mel bands every 4 ms: when things happen."""
    return F.l1_loss(*(log_mel(x, 256, 64, 32, rate, floor=1e-4) for x in (made, real)))


def harmonic_loss(real: Tensor, made: Tensor) -> Tensor:
    """L1 of log magnitudes on linear frequency, which keeps harmonics apart where mel bands blur them together."""
    distances = []
    for n_fft in (1024, 2048):
        a, b = (magnitude(x, n_fft, n_fft // 4).clamp_min(2e-2).log() for x in (made, real))
        distances.append(F.l1_loss(a, b))
    return torch.stack(distances).mean()


def cepstra(samples: Tensor, rate: int) -> Tensor:
    """Samples [batch, n] to 16 cepstra of 40 log-mel bands [batch, 16, n / 160], means of 30 ms.

    The shape that makes a sound this phoneme or that one; pitch, and the chance in every spectrum of a noise, hardly reach it.
    """
    values = _cosines(40, 16, samples.device) @ log_mel(samples, 512, 160, 40, rate, floor=1e-4)
    return F.avg_pool1d(values, 3, 1, padding=1)


@lru_cache
def _cosines(bands: int, count: int, device: torch.device) -> Tensor:
    """The first `count` rows of the orthonormal discrete cosine transform of `bands` values."""
    places = (torch.arange(bands, device=device) + 0.5) * torch.pi / bands
    rows = (torch.arange(count, device=device)[:, None] * places).cos() * (2 / bands) ** 0.5
    rows[0] /= 2**0.5
    return rows


def divergence(moved: Tensor, posterior_log: Tensor, mean: Tensor, prior_log: Tensor, mask: Tensor) -> Tensor:
    """KL divergence of posterior from prior, per frame (upstream: module/losses.py kl_loss)."""
    spread = prior_log - posterior_log - 0.5 + 0.5 * (moved - mean).square() * torch.exp(-2 * prior_log)
    return (spread * mask).sum() / mask.sum()


def guide_loss(weights: Tensor, aligned: Tensor) -> Tensor:
    """How little the first two heads look at the aligned phoneme.

    Takes weights [batch, heads, time, phonemes] and phoneme indices [batch, time], -1 where none is known.
    """
    known = aligned >= 0
    index = aligned.clamp_min(0)[:, None, :, None].expand(-1, 2, -1, 1)
    looked = weights[:, :2].float().gather(3, index)[..., 0]
    return -((looked + 1e-4).log() * known[:, None]).sum() / known.sum().clamp_min(1) / 2
