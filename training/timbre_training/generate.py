"""Sampling tokens from T2S one after another (upstream: AR/models/t2s_model.py infer_panel_naive, AR/models/utils.py)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .text2semantic import Text2Semantic

_NO_END_BEFORE = 11


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; top_k 1 is greedy."""

    top_k: int = 5
    temperature: float = 0.6
    repetition_penalty: float = 1.35
    longest: int = 300


@torch.no_grad()
def generate(
    model: Text2Semantic, phonemes: Tensor, prompt: Tensor, sampling: Sampling, seed: int = 0
) -> tuple[Tensor, bool]:
    """Tokens that follow `prompt` [n] for `phonemes` [m] (those of the prompt first), and whether they end by themselves."""
    random = torch.Generator(device=phonemes.device).manual_seed(seed)
    history = prompt.clone()
    x = model.embed_text(phonemes[None], torch.arange(len(phonemes), device=phonemes.device))
    if len(prompt):
        spoken = model.embed_audio(prompt[None], torch.arange(len(prompt), device=prompt.device))
        x = torch.cat([x, spoken], dim=1)
    mask = _prompt_mask(len(phonemes), x.shape[1], x.device)
    caches: list[tuple[Tensor, Tensor]] = []
    for step in range(sampling.longest + 1):
        x, caches = _advance(model, x, caches, mask)
        mask = None
        scores = model.ar_predict_layer(x[0, -1])
        if step < _NO_END_BEFORE:
            scores = scores[:-1]
        token = _choose(scores, history, sampling, random)
        if token == model.sizes.EOS or int(scores.argmax()) == model.sizes.EOS:
            return history[len(prompt) :], True
        history = torch.cat([history, history.new_tensor([token])])
        position = torch.tensor([len(history) - 1], device=phonemes.device)
        x = model.embed_audio(history[None, -1:], position)
    return history[len(prompt) :], False


def _prompt_mask(text: int, total: int, device: torch.device) -> Tensor:
    blocked = torch.ones(total, total, dtype=torch.bool, device=device).triu(1)
    blocked[:text, :text] = False
    return torch.zeros(1, 1, total, total, device=device).masked_fill(blocked, float("-inf"))


def _advance(
    model: Text2Semantic, x: Tensor, caches: list[tuple[Tensor, Tensor]], mask: Tensor | None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    grown = []
    for number, layer in enumerate(model.h.layers):
        q, k, v = layer.self_attn.project(x)
        if caches:
            k, v = torch.cat([caches[number][0], k], dim=2), torch.cat([caches[number][1], v], dim=2)
        grown.append((k, v))
        x = layer.finish(x, layer.self_attn.attend(q, k, v, mask), 0.0)
    return x, grown


def _choose(scores: Tensor, history: Tensor, sampling: Sampling, random: torch.Generator) -> int:
    scores = scores.clone()
    if sampling.repetition_penalty != 1.0 and len(history):
        seen = history.unique()
        said = scores[seen]
        scores[seen] = torch.where(said < 0, said * sampling.repetition_penalty, said / sampling.repetition_penalty)
    if sampling.top_k == 1:
        return int(scores.argmax())
    scores = scores / max(sampling.temperature, 1e-5)
    best = scores.topk(min(sampling.top_k, len(scores)))
    chosen = torch.multinomial(best.values.softmax(dim=0), 1, generator=random)
    return int(best.indices[chosen])
