"""Latent to waveform: the HiFi-GAN generator of SoVITS (upstream: module/models.py Generator)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .normed_convolution import NormedConv1d, NormedUpsampling1d

_SLOPE = 0.1


class ResidualBlock(nn.Module):
    """Pairs of dilated and plain convolutions, each pair with a shortcut."""

    def __init__(self, channels: int, kernel: int, dilations: list[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(NormedConv1d(channels, channels, kernel, rate, std=0.01) for rate in dilations)
        self.convs2 = nn.ModuleList(NormedConv1d(channels, channels, kernel, std=0.01) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, _SLOPE)), _SLOPE))
        return x


class WaveformDecoder(nn.Module):
    """Latent [batch, latent, time] and global embedding [batch, gin, 1] to samples [batch, 1, time x hop]."""

    def __init__(
        self, *, latent: int, initial: int, rates: list[int], kernels: list[int], block_kernels: list[int],
        block_dilations: list[list[int]], conditioning: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv_pre = nn.Conv1d(latent, initial, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        self.blocks_per_stage = len(block_kernels)
        channels = initial
        for rate, kernel in zip(rates, kernels, strict=True):
            self.ups.append(NormedUpsampling1d(channels, channels // 2, kernel, rate))
            channels //= 2
            for size, dilations in zip(block_kernels, block_dilations, strict=True):
                self.resblocks.append(ResidualBlock(channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3, bias=False)
        self.cond = nn.Conv1d(conditioning, initial, 1)

    def forward(self, latent: Tensor, ge: Tensor) -> Tensor:
        x = self.conv_pre(latent) + self.cond(ge)
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, _SLOPE))
            first = stage * self.blocks_per_stage
            blocks = self.resblocks[first : first + self.blocks_per_stage]
            x = sum((block(x) for block in blocks[1:]), start=blocks[0](x)) / len(blocks)
        # The last slope is PyTorch's default, not the stages' (upstream keeps that too).
        return torch.tanh(self.conv_post(F.leaky_relu(x)))
