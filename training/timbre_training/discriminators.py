"""Judges of the adversarial training: period discriminators and log-spectrogram discriminators."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .normed_convolution import NormedConv2d
from .spectrogram import magnitude

_SLOPE = 0.1
Verdict = tuple[Tensor, list[Tensor]]


class PeriodJudge(nn.Module):
    """Looks at every p-th sample, which shows whether the signal repeats the way voiced speech does."""

    channels = (16, 32, 64, 128, 128)

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        inputs = (1, *self.channels[:-1])
        strides = (3, 3, 3, 3, 1)
        self.convs = nn.ModuleList(
            NormedConv2d(a, b, (5, 1), (s, 1)) for a, b, s in zip(inputs, self.channels, strides, strict=True)
        )
        self.post = NormedConv2d(self.channels[-1], 1, (3, 1))

    def forward(self, samples: Tensor) -> Verdict:
        missing = -samples.shape[1] % self.period
        x = F.pad(samples.unsqueeze(1), (0, missing), mode="reflect") if missing else samples.unsqueeze(1)
        return _judge(self, x.view(x.shape[0], 1, -1, self.period))


class SpectrumJudge(nn.Module):
    """Looks at the log magnitudes of one STFT resolution."""

    channels = 24

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        c = self.channels
        self.convs = nn.ModuleList(
            [
                NormedConv2d(1, c, (7, 3), (2, 1)), NormedConv2d(c, c, (5, 3), (2, 1)),
                NormedConv2d(c, c, (5, 3), (2, 2)), NormedConv2d(c, c, (5, 3), (2, 1)),
            ]
        )  # fmt: skip
        self.post = NormedConv2d(c, 1, (3, 3))

    def forward(self, samples: Tensor) -> Verdict:
        return _judge(self, magnitude(samples, self.n_fft, self.hop).clamp_min(1e-4).log().unsqueeze(1))


def _judge(judge: PeriodJudge | SpectrumJudge, x: Tensor) -> Verdict:
    features = []
    for layer in judge.convs:
        x = F.leaky_relu(layer(x), _SLOPE)
        features.append(x)
    x = judge.post(x)
    return x.flatten(1), [*features, x]


class Judges(nn.Module):
    """Five periods and three resolutions; samples [batch, n] to one verdict each."""

    def __init__(self) -> None:
        super().__init__()
        periods = [PeriodJudge(period) for period in (2, 3, 5, 7, 11)]
        spectra = [SpectrumJudge(n_fft, hop) for n_fft, hop in ((512, 128), (1024, 256), (256, 64))]
        self.judges = nn.ModuleList([*periods, *spectra])

    def forward(self, samples: Tensor) -> list[Verdict]:
        return [judge(samples) for judge in self.judges]


def judging_loss(real: list[Verdict], made: list[Verdict]) -> Tensor:
    """Least squares: recordings are to be judged 1, decoder output 0."""
    pairs = zip(real, made, strict=True)
    return torch.stack([(1 - a[0].float()).square().mean() + b[0].float().square().mean() for a, b in pairs]).sum()


def fooling_loss(made: list[Verdict]) -> Tensor:
    """Least squares: decoder output is to be judged 1."""
    return torch.stack([(1 - verdict.float()).square().mean() for verdict, _ in made]).sum()


def feature_loss(real: list[Verdict], made: list[Verdict]) -> Tensor:
    """Twice the mean distance of the judges' inner features."""
    distances = [
        (p.detach().float() - q.float()).abs().mean()
        for (_, a), (_, b) in zip(real, made, strict=True)
        for p, q in zip(a, b, strict=True)
    ]
    return 2 * torch.stack(distances).sum()
