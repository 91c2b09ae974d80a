"""Reference spectrogram to the global embedding (upstream: module/modules.py MelStyleEncoder)."""

from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


class _PlainConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class GatedConvolution(nn.Module):
    """Convolution with a gated linear unit and a shortcut over [batch, channels, time]."""

    def __init__(self, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = _PlainConv(channels, 2 * channels, kernel)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return x + F.dropout(F.glu(self.conv1(x), dim=1), self.dropout, self.training)


class StyleAttention(nn.Module):
    """Two-head self-attention whose temperature is the square root of the whole width, not of a head's."""

    heads = 2

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.w_qs = nn.Linear(width, width)
        self.w_ks = nn.Linear(width, width)
        self.w_vs = nn.Linear(width, width)
        self.fc = nn.Linear(width, width)
        self.dropout = dropout

    def forward(self, x: Tensor, silent: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            layer(x).view(batch, time, self.heads, -1).transpose(1, 2) for layer in (self.w_qs, self.w_ks, self.w_vs)
        )
        scores = (q @ k.transpose(2, 3)) * width**-0.5
        weights = scores.masked_fill(silent[:, None, None, :], float("-inf")).softmax(dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        attended = self.fc((weights @ v).transpose(1, 2).reshape(batch, time, width))
        return F.dropout(attended, self.dropout, self.training) + x


class StyleEncoder(nn.Module):
    """Spectrogram [batch, bins, time] and its mask [batch, 1, time] to one vector [batch, width, 1]."""

    hidden, kernel = 128, 5

    def __init__(self, bins: int, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.spectral = nn.Sequential(
            Projection(bins, self.hidden), nn.Mish(), nn.Dropout(dropout),
            Projection(self.hidden, self.hidden), nn.Mish(), nn.Dropout(dropout),
        )  # fmt: skip
        self.temporal = nn.Sequential(*(GatedConvolution(self.hidden, self.kernel, dropout) for _ in range(2)))
        self.slf_attn = StyleAttention(self.hidden, dropout)
        self.fc = Projection(self.hidden, width)

    def forward(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        x = self.spectral((spectrogram * mask).transpose(1, 2))
        x = self.temporal(x.transpose(1, 2)).transpose(1, 2)
        heard = mask.transpose(1, 2)
        x = self.fc(self.slf_attn(x * heard, mask[:, 0] == 0)) * heard
        return (x.float().sum(dim=1) / heard.sum(dim=1)).unsqueeze(2)
