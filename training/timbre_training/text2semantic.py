"""Text-to-semantic-tokens (T2S) under the names of the official state dict (upstream: AR/models/t2s_model.py)."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Text2SemanticSizes:
    """Sizes under the names of the official config's `model` section; the defaults are the demo voice's."""

    vocab_size: int = 1025
    phoneme_vocab_size: int = 732
    embedding_dim: int = 192
    hidden_dim: int = 192
    head: int = 4
    linear_units: int = 320
    n_layer: int = 6
    dropout: float = 0
    EOS: int = 1024
    random_bert: int = 0
    bert_dim: int = 1024

    def official_config(self) -> dict[str, dict[str, object]]:
        """The `config` of an official checkpoint."""
        model = {name: value for name, value in asdict(self).items() if name != "bert_dim"}
        return {
            "train": {"seed": 1234}, "data": {"max_sec": 54, "pad_val": self.EOS}, "model": model,
            "inference": {"top_k": 15},
        }  # fmt: skip


class _TokenEmbedding(nn.Module):
    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(count, width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.word_embeddings(ids)


class _Position(nn.Module):
    """Adds alpha times the sine position."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return x + self.alpha * sine_positions(positions, x.shape[-1])


def sine_positions(positions: Tensor, width: int) -> Tensor:
    """Positions [...] to interleaved sines and cosines [..., width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10000.0) / width))
    angles = positions.unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [batch, heads, time, width / heads]."""
        joined = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in joined.chunk(3, dim=-1))
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    def __init__(self, sizes: Text2SemanticSizes) -> None:
        super().__init__()
        width = sizes.hidden_dim
        self.self_attn = _Attention(width, sizes.head)
        self.linear1 = nn.Linear(width, sizes.linear_units)
        self.linear2 = nn.Linear(sizes.linear_units, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def finish(self, x: Tensor, attended: Tensor, dropout: float) -> Tensor:
        x = self.norm1(x + F.dropout(attended, dropout, self.training))
        hidden = F.dropout(torch.relu(self.linear1(x)), dropout, self.training)
        return self.norm2(x + F.dropout(self.linear2(hidden), dropout, self.training))


class _Layers(nn.Module):
    def __init__(self, sizes: Text2SemanticSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(sizes) for _ in range(sizes.n_layer))


class Text2Semantic(nn.Module):
    """Phonemes and the tokens so far to the next token; BERT features are zero (the demo voice has no BERT)."""

    def __init__(self, sizes: Text2SemanticSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.embedding_dim
        self.bert_proj = nn.Linear(sizes.bert_dim, width)
        nn.init.zeros_(self.bert_proj.weight)
        # No gradient ever reaches it while the features are zero; zeros keep it harmless if someone feeds a BERT.
        self.bert_proj.weight.requires_grad_(False)
        self.ar_text_embedding = _TokenEmbedding(sizes.phoneme_vocab_size, width)
        self.ar_text_position = _Position()
        self.ar_audio_embedding = _TokenEmbedding(sizes.vocab_size, width)
        self.ar_audio_position = _Position()
        self.h = _Layers(sizes)
        self.ar_predict_layer = nn.Linear(width, sizes.vocab_size, bias=False)

    def embed_text(self, phonemes: Tensor, positions: Tensor) -> Tensor:
        return self.ar_text_position(self.ar_text_embedding(phonemes) + self.bert_proj.bias, positions)

    def embed_audio(self, tokens: Tensor, positions: Tensor) -> Tensor:
        return self.ar_audio_position(self.ar_audio_embedding(tokens), positions)

    def forward(
        self, phonemes: Tensor, phoneme_lengths: Tensor, tokens: Tensor, token_lengths: Tensor, *,
        dropout: float = 0.0, guide: Tensor | None = None, guided: tuple[int, ...] = (),
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Scores of the next token [batch, 1 + tokens, vocabulary] by teacher forcing, and the guide loss.

        Phonemes are padded on the left, tokens on the right. `guide` [batch, 1 + tokens] is the column of `phonemes`
        that the next token says, -1 where none; head 0 of the `guided` layers is asked to look there.
        """
        n = phonemes.shape[1]
        columns = torch.arange(n, device=phonemes.device)
        before = (n - phoneme_lengths)[:, None]
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        x = torch.cat(
            [self.embed_text(phonemes, (columns - before).clamp_min(0)), self.embed_audio(tokens, steps)], dim=1
        )
        x = F.dropout(x, dropout, self.training)
        unheard = torch.cat([columns < before, steps >= token_lengths[:, None]], dim=1)
        mask = _mask(unheard, n)
        loss = x.new_zeros(())
        for number, layer in enumerate(self.h.layers):
            q, k, v = layer.self_attn.project(x)
            if guide is not None and number in guided:
                loss = loss + _look_loss(q, k, n, columns < before, guide) / len(guided)
            x = layer.finish(x, layer.self_attn.attend(q, k, v, mask.to(q.dtype)), dropout)
        return self.ar_predict_layer(x[:, n - 1 :]), loss


def _mask(unheard: Tensor, text: int) -> Tensor:
    """Additive mask [batch, 1, time, time]: text sees text, tokens see text and earlier tokens."""
    batch, time = unheard.shape
    blocked = torch.ones(time, time, dtype=torch.bool, device=unheard.device).triu(1)
    blocked[:text, :text] = False
    blocked = blocked[None] | unheard[:, None]
    diagonal = torch.arange(time, device=unheard.device)
    blocked[:, diagonal, diagonal] = False  # padding looks at itself, so that no row is empty
    return torch.zeros(batch, 1, time, time, device=unheard.device).masked_fill(blocked[:, None], float("-inf"))


def _look_loss(q: Tensor, k: Tensor, text: int, padding: Tensor, guide: Tensor) -> Tensor:
    scores = q[:, 0, text - 1 :] @ k[:, 0, :text].transpose(1, 2) / math.sqrt(q.shape[-1])
    scores = scores.float().masked_fill(padding[:, None], -1e4)
    return F.cross_entropy(scores.transpose(1, 2), guide, ignore_index=-1)
