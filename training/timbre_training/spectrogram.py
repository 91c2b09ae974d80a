"""Spectrograms of training: the model's linear one, log-mel bands, and the plain STFT magnitudes of the losses."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def magnitude(samples: Tensor, n_fft: int, hop: int) -> Tensor:
    """Samples [batch, n] to STFT magnitudes [batch, n_fft / 2 + 1, n / hop] (upstream: mel_processing.spectrogram_torch)."""
    padding = (n_fft - hop) // 2
    padded = F.pad(samples.unsqueeze(1), (padding, padding), mode="reflect").squeeze(1)
    window = _window(n_fft, samples.device)
    transform = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    return (transform.real.square() + transform.imag.square() + 1e-8).sqrt()


def log_mel(samples: Tensor, n_fft: int, hop: int, bands: int, rate: int, floor: float = 1e-5) -> Tensor:
    """Samples [batch, n] to natural-log mel bands [batch, bands, n / hop]."""
    return (mel_filters(n_fft, bands, rate, samples.device) @ magnitude(samples, n_fft, hop)).clamp_min(floor).log()


@lru_cache
def _window(n_fft: int, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, device=device)


@lru_cache
def mel_filters(n_fft: int, bands: int, rate: int, device: torch.device) -> Tensor:
    """Slaney-style area-normalised triangles [bands, n_fft / 2 + 1] from 0 to half the rate."""
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(rate / 2), bands + 2))
    distance = edges[:, None] - np.linspace(0, rate / 2, n_fft // 2 + 1)[None]
    widths = np.diff(edges)
    rising = -distance[:-2] / widths[:-1, None]
    falling = distance[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.tensor(triangles, dtype=torch.float32, device=device)


# The Slaney scale: linear to 1 kHz (15 mel), logarithmic above.
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(_LOG_STEP * (mel - 15)))
