"""The semantic-token encoder in HuBERT's shape, under the names of the official `model.safetensors`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class TokenEncoderSizes:
    """Sizes under the names of HuBERT's config.json; the defaults are the demo voice's."""

    hidden_size: int = 192
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 320
    conv_dim: list[int] = field(default_factory=lambda: [64, 64, 96, 96, 128, 128, 192])
    conv_kernel: list[int] = field(default_factory=lambda: [10, 3, 3, 3, 3, 2, 2])
    conv_stride: list[int] = field(default_factory=lambda: [5, 2, 2, 2, 2, 2, 2])
    num_conv_pos_embeddings: int = 64
    num_conv_pos_embedding_groups: int = 16

    def official_config(self) -> dict[str, object]:
        """config.json with every field the shape depends on."""
        return asdict(self) | {
            "model_type": "hubert", "architectures": ["HubertModel"], "conv_bias": False, "feat_extract_norm": "group",
            "feat_extract_activation": "gelu", "hidden_act": "gelu", "do_stable_layer_norm": False,
            "feat_proj_layer_norm": True, "num_feat_extract_layers": len(self.conv_dim), "layer_norm_eps": 1e-5,
            "conv_pos_batch_norm": False, "apply_spec_augment": False, "mask_time_prob": 0.0, "vocab_size": 32,
        }  # fmt: skip


class _WaveLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, normed: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=False)
        nn.init.kaiming_normal_(self.conv.weight)
        # The first layer is normalised per channel over time, which makes features independent of the recording level.
        self.layer_norm = nn.GroupNorm(outputs, outputs) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.layer_norm(self.conv(x)))


class _WaveLayers(nn.Module):
    def __init__(self, sizes: TokenEncoderSizes) -> None:
        super().__init__()
        inputs = (1, *sizes.conv_dim[:-1])
        shapes = zip(inputs, sizes.conv_dim, sizes.conv_kernel, sizes.conv_stride, strict=True)
        self.conv_layers = nn.ModuleList(_WaveLayer(*shape, normed=n == 0) for n, shape in enumerate(shapes))

    def forward(self, samples: Tensor) -> Tensor:
        x = samples.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x.transpose(1, 2)


class _FeatureProjection(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(inputs)
        self.projection = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.layer_norm(x))


class _PositionConv(nn.Module):
    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(conv.weight, std=2 * (kernel * width) ** -0.5)
        nn.init.zeros_(conv.bias)
        self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2)
        self.surplus = 1 - kernel % 2

    def forward(self, x: Tensor) -> Tensor:
        # In float32 whatever autocast says: oneDNN's bfloat16 kernel is wrong for 12 channels a group on AMX processors
        # (torch 2.15; the error is as large as the signal).
        with torch.autocast(x.device.type, enabled=False):
            y = self.conv(x.float().transpose(1, 2))
        return F.gelu(y[:, :, : y.shape[2] - self.surplus]).transpose(1, 2)


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, heard: Tensor | None) -> Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        mask = None if heard is None else heard[:, None, None, :]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(width, hidden)
        self.output_dense = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_dense(F.gelu(self.intermediate_dense(x)))


class _Layer(nn.Module):
    def __init__(self, sizes: TokenEncoderSizes, dropout: float) -> None:
        super().__init__()
        self.attention = _SelfAttention(sizes.hidden_size, sizes.num_attention_heads)
        self.layer_norm = nn.LayerNorm(sizes.hidden_size)
        self.feed_forward = _FeedForward(sizes.hidden_size, sizes.intermediate_size)
        self.final_layer_norm = nn.LayerNorm(sizes.hidden_size)
        self.dropout = dropout

    def forward(self, x: Tensor, heard: Tensor | None) -> Tensor:
        x = self.layer_norm(x + F.dropout(self.attention(x, heard), self.dropout, self.training))
        return self.final_layer_norm(x + F.dropout(self.feed_forward(x), self.dropout, self.training))


class _Transformer(nn.Module):
    def __init__(self, sizes: TokenEncoderSizes, dropout: float) -> None:
        super().__init__()
        self.pos_conv_embed = _PositionConv(
            sizes.hidden_size, sizes.num_conv_pos_embeddings, sizes.num_conv_pos_embedding_groups
        )
        self.layer_norm = nn.LayerNorm(sizes.hidden_size)
        self.layers = nn.ModuleList(_Layer(sizes, dropout) for _ in range(sizes.num_hidden_layers))
        self.dropout = dropout

    def forward(self, x: Tensor, heard: Tensor | None) -> Tensor:
        if heard is not None:
            x = x * heard.unsqueeze(2)
        x = F.dropout(self.layer_norm(x + self.pos_conv_embed(x)), self.dropout, self.training)
        for layer in self.layers:
            x = layer(x, heard)
        return x


class TokenEncoder(nn.Module):
    """Samples [batch, n] at 16 kHz to features [batch, time, hidden] at 50 Hz."""

    def __init__(self, sizes: TokenEncoderSizes, dropout: float = 0.05) -> None:
        super().__init__()
        self.sizes = sizes
        self.feature_extractor = _WaveLayers(sizes)
        self.feature_projection = _FeatureProjection(sizes.conv_dim[-1], sizes.hidden_size)
        self.encoder = _Transformer(sizes, dropout)

    def forward(self, samples: Tensor) -> Tensor:
        return self.encoder(self.local(samples), None)

    def local(self, samples: Tensor) -> Tensor:
        """What the convolutions see, before any attention."""
        return self.feature_projection(self.feature_extractor(samples))

    def frames(self, samples: int) -> int:
        """Number of features that `samples` samples give."""
        for kernel, stride in zip(self.sizes.conv_kernel, self.sizes.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples


def read_token_encoder(folder: Path) -> TokenEncoder:
    """An encoder from config.json and model.safetensors."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    encoder = TokenEncoder(TokenEncoderSizes(**{name: config[name] for name in asdict(TokenEncoderSizes())}))
    encoder.load_state_dict(load_file(folder / "model.safetensors"))
    return encoder


def write_token_encoder(folder: Path, encoder: TokenEncoder) -> None:
    """Writes config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(encoder.sizes.official_config(), indent=2) + "\n"
    (folder / "config.json").write_text(config, encoding="utf-8")
    state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
