"""Convolutions whose weight is a direction and a length, under the names the official checkpoints use."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Normed(nn.Module):
    """weight = weight_g * weight_v / |weight_v|, the norm taken over all but the first dimension."""

    def __init__(self, shape: tuple[int, ...], out_channels: int, std: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(out_channels))
        direction = torch.randn(shape) * std
        lengths = direction.flatten(1).norm(dim=1).view(-1, *(1 for _ in shape[1:]))
        self.weight_g = nn.Parameter(lengths)
        self.weight_v = nn.Parameter(direction)

    def weight(self) -> Tensor:
        return torch._weight_norm(self.weight_v, self.weight_g, 0)


class NormedConv1d(_Normed):
    """1-d convolution that keeps the length (odd kernels)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1, std: float | None = None) -> None:
        super().__init__((outputs, inputs, kernel), outputs, std if std is not None else (3 * inputs * kernel) ** -0.5)
        self.dilation = dilation
        self.padding = (kernel - 1) * dilation // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight(), self.bias, padding=self.padding, dilation=self.dilation)


class NormedUpsampling1d(_Normed):
    """Transposed convolution that multiplies the length by `rate`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rate: int, std: float = 0.01) -> None:
        super().__init__((inputs, outputs, kernel), outputs, std)
        self.rate = rate
        self.padding = (kernel - rate) // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.weight(), self.bias, stride=self.rate, padding=self.padding)


class NormedConv2d(_Normed):
    """2-d convolution with padding that keeps the size before striding."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__((outputs, inputs, *kernel), outputs, (3 * inputs * kernel[0] * kernel[1]) ** -0.5)
        self.stride = stride
        self.padding = (kernel[0] // 2, kernel[1] // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, stride=self.stride, padding=self.padding)
