"""SoVITS v2: parameter names are those of the official state dicts (upstream: module/models.py SynthesizerTrn)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .latent import Flow, PosteriorEncoder
from .prior_encoder import PriorEncoder
from .quantiser import Quantiser
from .style_encoder import StyleEncoder
from .waveform_decoder import WaveformDecoder


@dataclass(frozen=True)
class SovitsSizes:
    """Every size of the model; the defaults are the demo voice's."""

    sampling_rate: int = 16_000
    filter_length: int = 1024
    hop_length: int = 320
    inter_channels: int = 96
    hidden_channels: int = 96
    filter_channels: int = 144
    n_heads: int = 2
    n_layers: int = 6
    kernel_size: int = 3
    p_dropout: float = 0.0
    resblock_kernel_sizes: list[int] = field(default_factory=lambda: [3, 7])
    resblock_dilation_sizes: list[list[int]] = field(default_factory=lambda: [[1, 3, 5], [1, 3, 5]])
    upsample_rates: list[int] = field(default_factory=lambda: [10, 8, 2, 2])
    upsample_initial_channel: int = 192
    upsample_kernel_sizes: list[int] = field(default_factory=lambda: [20, 16, 4, 4])
    gin_channels: int = 128
    ssl_dim: int = 192
    ref_bins: int = 513
    phonemes: int = 732
    tokens: int = 1024
    segment_frames: int = 16

    @property
    def bins(self) -> int:
        return self.filter_length // 2 + 1

    def official_config(self) -> dict[str, dict[str, object]]:
        """The `config` of an official checkpoint, with two fields of ours: ssl_dim and ref_bins."""
        return {
            "train": {"segment_size": self.segment_frames * self.hop_length},
            "data": {
                "max_wav_value": 32768.0, "sampling_rate": self.sampling_rate, "filter_length": self.filter_length,
                "hop_length": self.hop_length, "win_length": self.filter_length, "n_mel_channels": 80,
                "mel_fmin": 0.0, "mel_fmax": None, "add_blank": True, "n_speakers": 300, "cleaned_text": True,
            },
            "model": {
                "inter_channels": self.inter_channels, "hidden_channels": self.hidden_channels,
                "filter_channels": self.filter_channels, "n_heads": self.n_heads, "n_layers": self.n_layers,
                "kernel_size": self.kernel_size, "p_dropout": self.p_dropout, "resblock": "1",
                "resblock_kernel_sizes": self.resblock_kernel_sizes,
                "resblock_dilation_sizes": self.resblock_dilation_sizes, "upsample_rates": self.upsample_rates,
                "upsample_initial_channel": self.upsample_initial_channel,
                "upsample_kernel_sizes": self.upsample_kernel_sizes, "n_layers_q": 3, "use_spectral_norm": False,
                "gin_channels": self.gin_channels, "semantic_frame_rate": "25hz", "freeze_quantizer": True,
                "version": "v2", "ssl_dim": self.ssl_dim, "ref_bins": self.ref_bins,
            },
        }  # fmt: skip


class Sovits(nn.Module):
    """Everything that is trained; inference drops the posterior encoder."""

    def __init__(self, sizes: SovitsSizes) -> None:
        super().__init__()
        self.sizes = sizes
        latent, hidden, gin = sizes.inter_channels, sizes.hidden_channels, sizes.gin_channels
        self.enc_p = PriorEncoder(
            ssl_channels=sizes.ssl_dim, phonemes=sizes.phonemes, out_channels=latent, hidden_channels=hidden,
            filter_channels=sizes.filter_channels, n_heads=sizes.n_heads, n_layers=sizes.n_layers,
            kernel_size=sizes.kernel_size, p_dropout=sizes.p_dropout, fusion_channels=gin,
        )  # fmt: skip
        self.dec = WaveformDecoder(
            latent=latent, initial=sizes.upsample_initial_channel, rates=sizes.upsample_rates,
            kernels=sizes.upsample_kernel_sizes, block_kernels=sizes.resblock_kernel_sizes,
            block_dilations=sizes.resblock_dilation_sizes, conditioning=gin,
        )  # fmt: skip
        self.enc_q = PosteriorEncoder(sizes.bins, latent, hidden, kernel=5, layers=16, conditioning=gin)
        self.flow = Flow(latent, hidden, kernel=5, layers=4, conditioning=gin)
        self.ref_enc = StyleEncoder(sizes.ref_bins, gin)
        self.ssl_proj = nn.Conv1d(sizes.ssl_dim, sizes.ssl_dim, 2, stride=2)
        self.quantizer = Quantiser(sizes.tokens, sizes.ssl_dim)

    def global_embedding(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        """Reference spectrogram [batch, bins, time] to its voice [batch, gin, 1]."""
        return self.ref_enc(spectrogram[:, : self.sizes.ref_bins], mask)

    def token_features(self, tokens: Tensor) -> Tensor:
        """Tokens [batch, time] at 25 Hz to centroids [batch, ssl, 2 x time] at 50 Hz."""
        return F.interpolate(self.quantizer.decode(tokens), scale_factor=2, mode="nearest")

    @torch.no_grad()
    def extract_tokens(self, ssl_content: Tensor) -> Tensor:
        """SSL content [batch, ssl, time] at 50 Hz to tokens [batch, time / 2]."""
        return self.quantizer.encode(self.ssl_proj(ssl_content))

    @torch.no_grad()
    def latent(
        self, tokens: Tensor, phonemes: Tensor, ge: Tensor, noise_scale: float, random: torch.Generator | None = None
    ) -> Tensor:
        """What the decoder speaks from: tokens [1, time], phonemes [1, n], voice [1, gin, 1] to [1, latent, 2 x time]."""
        features = self.token_features(tokens)
        mask = features.new_ones(1, 1, features.shape[2])
        phoneme_mask = features.new_ones(1, 1, phonemes.shape[1])
        mean, log_spread, _ = self.enc_p(features, mask, phonemes, phoneme_mask, ge)
        noise = torch.randn(mean.shape, generator=random, device=mean.device)
        return self.flow(mean + noise * log_spread.exp() * noise_scale, mask, ge, inverse=True)

    @torch.no_grad()
    def decode(self, tokens: Tensor, phonemes: Tensor, reference: Tensor, noise_scale: float) -> Tensor:
        """One utterance: tokens [1, time], phonemes [1, n], reference spectrogram [1, bins, t] to samples [1, 1, n]."""
        ge = self.global_embedding(reference, reference.new_ones(1, 1, reference.shape[2]))
        return self.dec(self.latent(tokens, phonemes, ge, noise_scale), ge)


def length_mask(lengths: Tensor, longest: int) -> Tensor:
    """Lengths [batch] to a mask [batch, 1, longest] of ones and zeros."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None]).float().unsqueeze(1)
