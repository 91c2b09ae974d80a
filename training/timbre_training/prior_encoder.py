"""Prior of SoVITS: semantic tokens and phonemes to the mean and spread of the latent (upstream: module/models.py TextEncoder)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WINDOW = 4  # relative positions further away share no embedding


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [batch, channels, time]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta, 1e-5).transpose(1, 2)


class Attention(nn.Module):
    """Attention of [batch, channels, time] sequences, with learned relative positions for self-attention."""

    def __init__(self, channels: int, heads: int, relative: bool) -> None:
        super().__init__()
        self.heads = heads
        width = channels // heads
        self.relative = relative
        if relative:
            self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * _WINDOW + 1, width) * width**-0.5)
            self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * _WINDOW + 1, width) * width**-0.5)
        for name in ("conv_q", "conv_k", "conv_v", "conv_o"):
            layer = nn.Conv1d(channels, channels, 1)
            if name != "conv_o":
                nn.init.xavier_uniform_(layer.weight)
            setattr(self, name, layer)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attends from x to context where mask [batch, 1, time, context time] is 1; returns output and weights."""
        batch, channels, time = x.shape
        q, k, v = (
            layer(value).view(batch, self.heads, channels // self.heads, -1).transpose(2, 3)
            for layer, value in ((self.conv_q, x), (self.conv_k, context), (self.conv_v, context))
        )
        q = q * (channels // self.heads) ** -0.5
        scores = q @ k.transpose(2, 3)
        if self.relative:
            scores = scores + _spread(q @ self.emb_rel_k.transpose(1, 2).to(q.dtype))
        weights = scores.masked_fill(mask == 0, -1e4).softmax(dim=-1)
        output = weights @ v
        if self.relative:
            output = output + _gather(weights) @ self.emb_rel_v.to(weights.dtype)
        return self.conv_o(output.transpose(2, 3).reshape(batch, channels, time)), weights


def _spread(near: Tensor) -> Tensor:
    """[b, h, t, 9] scores by offset -> [b, h, t, t] scores by position, zero outside the window."""
    b, h, t, n = near.shape
    flat = F.pad(near, (0, t)).flatten(2)[..., : t * (t + n - 1)]
    return flat.view(b, h, t, t + n - 1)[..., _WINDOW : _WINDOW + t]


def _gather(weights: Tensor) -> Tensor:
    """[b, h, t, t] weights by position -> [b, h, t, 9] weights by offset."""
    b, h, t, _ = weights.shape
    n = 2 * _WINDOW + 1
    flat = F.pad(F.pad(weights, (_WINDOW, _WINDOW)).flatten(2), (0, t))
    return flat.view(b, h, t, t + n)[..., :n]


class FeedForward(nn.Module):
    """Two convolutions with a rectifier between."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.padding = ((kernel - 1) // 2, kernel // 2)
        self.conv_1 = nn.Conv1d(channels, hidden, kernel)
        self.conv_2 = nn.Conv1d(hidden, channels, kernel)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        hidden = torch.relu(self.conv_1(F.pad(x * mask, self.padding)))
        return self.conv_2(F.pad(hidden * mask, self.padding)) * mask


class SequenceEncoder(nn.Module):
    """Post-norm transformer over [batch, channels, time]."""

    def __init__(self, channels: int, hidden: int, heads: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attn_layers = nn.ModuleList(Attention(channels, heads, relative=True) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, hidden, kernel) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        pairs = mask.unsqueeze(2) * mask.unsqueeze(3)
        x = x * mask
        stages = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attention, norm_1, feed_forward, norm_2 in stages:
            x = norm_1(x + F.dropout(attention(x, x, pairs)[0], self.dropout, self.training))
            x = norm_2(x + F.dropout(feed_forward(x, mask), self.dropout, self.training))
        return x * mask


class TextFusion(nn.Module):
    """Cross attention from token frames to phonemes, plus the global embedding (upstream: MRTE)."""

    heads = 4

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.cross_attention = Attention(hidden, self.heads, relative=False)
        self.c_pre = nn.Conv1d(channels, hidden, 1)
        self.text_pre = nn.Conv1d(channels, hidden, 1)
        self.c_post = nn.Conv1d(hidden, channels, 1)

    def forward(self, y: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, ge: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.c_pre(y * mask)
        phonemes = self.text_pre(text * text_mask)
        attended, weights = self.cross_attention(
            frames * mask, phonemes * text_mask, text_mask.unsqueeze(2) * mask.unsqueeze(3)
        )
        return self.c_post((attended + frames + ge) * mask), weights


class PriorEncoder(nn.Module):
    """Quantised token features at 50 Hz and phonemes to the prior of the latent."""

    def __init__(
        self, *, ssl_channels: int, phonemes: int, out_channels: int, hidden_channels: int, filter_channels: int,
        n_heads: int, n_layers: int, kernel_size: int, p_dropout: float, fusion_channels: int,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = (hidden_channels, filter_channels, n_heads)
        self.out_channels = out_channels
        self.ssl_proj = nn.Conv1d(ssl_channels, hidden_channels, 1)
        self.encoder_ssl = SequenceEncoder(*sizes, n_layers // 2, kernel_size, p_dropout)
        self.encoder_text = SequenceEncoder(*sizes, n_layers, kernel_size, p_dropout)
        self.text_embedding = nn.Embedding(phonemes, hidden_channels)
        self.mrte = TextFusion(hidden_channels, fusion_channels)
        self.encoder2 = SequenceEncoder(*sizes, n_layers // 2, kernel_size, p_dropout)
        self.proj = nn.Conv1d(hidden_channels, out_channels * 2, 1)

    def forward(
        self, quantised: Tensor, mask: Tensor, phonemes: Tensor, phoneme_mask: Tensor, ge: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log spread [batch, latent, time], and the attention on phonemes [batch, heads, time, phonemes]."""
        y = self.ssl_proj(quantised * mask) * mask
        y = self.encoder_ssl(y, mask)
        text = self.text_embedding(phonemes).transpose(1, 2)
        text = self.encoder_text(text * phoneme_mask, phoneme_mask)
        y, weights = self.mrte(y, mask, text, phoneme_mask, ge)
        y = self.encoder2(y * mask, mask)
        mean, log_spread = (self.proj(y) * mask).split(self.out_channels, dim=1)
        return mean, log_spread, weights
