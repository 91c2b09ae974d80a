"""The codebook of semantic tokens under its official names (upstream: module/core_vq.py EuclideanCodebook)."""

import torch
from torch import Tensor, nn

CODEBOOK = "quantizer.vq.layers.0._codebook."


class _Codebook(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.register_buffer("inited", torch.ones(1))
        self.register_buffer("cluster_size", torch.ones(tokens))
        self.register_buffer("embed", torch.zeros(tokens, width))
        self.register_buffer("embed_avg", torch.zeros(tokens, width))


class _Layer(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self._codebook = _Codebook(tokens, width)


class _Layers(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(tokens, width)])


class Quantiser(nn.Module):
    """Nearest-neighbour quantiser with one codebook."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.vq = _Layers(tokens, width)

    @property
    def centroids(self) -> Tensor:
        """[tokens, width]"""
        return self.vq.layers[0]._codebook.embed

    def encode(self, features: Tensor) -> Tensor:
        """Features [batch, width, time] to the nearest centroid's index [batch, time]."""
        return nearest_centroid(features.transpose(1, 2), self.centroids)

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens [batch, time] to centroids [batch, width, time]."""
        return self.centroids[tokens].transpose(1, 2)


def nearest_centroid(features: Tensor, centroids: Tensor) -> Tensor:
    """Index of the centroid nearest to each vector [..., width]."""
    return (centroids.square().sum(dim=1) - 2 * features @ centroids.T).argmin(dim=-1)


def codebook_state(centroids: Tensor, counts: Tensor) -> dict[str, Tensor]:
    """The codebook's entries of a SoVITS state dict."""
    return {
        CODEBOOK + "inited": torch.ones(1),
        CODEBOOK + "cluster_size": counts.float(),
        CODEBOOK + "embed": centroids.float(),
        CODEBOOK + "embed_avg": centroids.float() * counts.float()[:, None],
    }
