"""Posterior encoder and flow of SoVITS (upstream: module/models.py PosteriorEncoder, ResidualCouplingBlock)."""

import torch
from torch import Tensor, nn

from .normed_convolution import NormedConv1d


class GatedStack(nn.Module):
    """WaveNet-style residual stack conditioned on the global embedding (upstream: modules.WN, dilation 1)."""

    def __init__(self, channels: int, kernel: int, layers: int, conditioning: int) -> None:
        super().__init__()
        self.channels = channels
        self.cond_layer = NormedConv1d(conditioning, 2 * channels * layers, 1)
        self.in_layers = nn.ModuleList(NormedConv1d(channels, 2 * channels, kernel) for _ in range(layers))
        self.res_skip_layers = nn.ModuleList(
            NormedConv1d(channels, 2 * channels if layer < layers - 1 else channels, 1) for layer in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor, ge: Tensor) -> Tensor:
        conditions = self.cond_layer(ge).split(2 * self.channels, dim=1)
        skipped = torch.zeros_like(x)
        last = len(conditions) - 1
        for index, condition in enumerate(conditions):
            signal, gate = (self.in_layers[index](x) + condition).split(self.channels, dim=1)
            output = self.res_skip_layers[index](torch.tanh(signal) * torch.sigmoid(gate))
            if index < last:
                residual, output = output.split(self.channels, dim=1)
                x = (x + residual) * mask
            skipped = skipped + output
        return skipped * mask


class PosteriorEncoder(nn.Module):
    """Spectrogram [batch, bins, time] to mean and log spread of the latent."""

    def __init__(self, bins: int, latent: int, channels: int, kernel: int, layers: int, conditioning: int) -> None:
        super().__init__()
        self.latent = latent
        self.pre = nn.Conv1d(bins, channels, 1)
        self.enc = GatedStack(channels, kernel, layers, conditioning)
        self.proj = nn.Conv1d(channels, 2 * latent, 1)

    def forward(self, spectrogram: Tensor, mask: Tensor, ge: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.enc(self.pre(spectrogram) * mask, mask, ge.detach())
        mean, log_spread = (self.proj(hidden) * mask).split(self.latent, dim=1)
        return mean, log_spread


class Coupling(nn.Module):
    """Shifts one half of the channels by a function of the other half."""

    def __init__(self, latent: int, channels: int, kernel: int, layers: int, conditioning: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(latent // 2, channels, 1)
        self.enc = GatedStack(channels, kernel, layers, conditioning)
        self.post = nn.Conv1d(channels, latent // 2, 1)
        nn.init.zeros_(self.post.weight)
        nn.init.zeros_(self.post.bias)

    def forward(self, x: Tensor, mask: Tensor, ge: Tensor, *, inverse: bool) -> Tensor:
        kept, moved = x.chunk(2, dim=1)
        shift = self.post(self.enc(self.pre(kept) * mask, mask, ge)) * mask
        moved = (moved - shift) * mask if inverse else shift + moved * mask
        return torch.cat([kept, moved], dim=1)


class Flip(nn.Module):
    """Reverses the channels; has no parameters but keeps the official numbering of the flow's stages."""

    def forward(self, x: Tensor, _mask: Tensor, _ge: Tensor, *, inverse: bool) -> Tensor:
        return x.flip(1)


class Flow(nn.Module):
    """Invertible map between the posterior's latent and the prior's."""

    def __init__(
        self, latent: int, channels: int, kernel: int, layers: int, conditioning: int, couplings: int = 4
    ) -> None:
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(couplings):
            self.flows += [Coupling(latent, channels, kernel, layers, conditioning), Flip()]

    def forward(self, x: Tensor, mask: Tensor, ge: Tensor, *, inverse: bool = False) -> Tensor:
        for stage in reversed(self.flows) if inverse else self.flows:
            x = stage(x, mask, ge, inverse=inverse)
        return x
