"""A voice with wider feed-forward layers made narrower, and what a voice needs to be trained on."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from timbre_training.continuation import Continuation, continuation_of, write_continuation
from timbre_training.shrink import shrink


class Wide(nn.Module):
    """Two feed-forward pairs, linear and convolutional, as the voice has them."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(6, hidden), nn.Linear(hidden, 6)
        self.conv_1, self.conv_2 = nn.Conv1d(6, hidden, 3), nn.Conv1d(hidden, 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.linear2(torch.relu(self.linear1(x)))
        return self.conv_2(F.pad(torch.relu(self.conv_1(F.pad(x.transpose(1, 2), (1, 1)))), (1, 1)))


def test_a_narrower_voice_says_the_same_where_the_dropped_units_say_little() -> None:
    torch.manual_seed(0)
    wide, narrow = Wide(32), Wide(12)
    with torch.no_grad():  # only ten units of each layer matter, and not the first ten
        wide.linear2.weight[:, :22] *= 0.01
        wide.conv_2.weight[:, 10:] *= 0.01
    examples = torch.randn(8, 50, 6)
    shrink(wide, narrow, [("linear1", "linear2"), ("conv_1", "conv_2")], lambda: wide(examples), 12)
    unseen = torch.randn(4, 50, 6)
    with torch.no_grad():
        wanted, made = wide(unseen), narrow(unseen)
    assert (wanted - made).norm() < 0.05 * wanted.norm()


def test_a_continuation_keeps_what_the_exported_files_lack(tmp_path: Path) -> None:
    content = Continuation(
        {"enc_q.pre.weight": torch.randn(3, 2)}, {"judges.0.post.bias": torch.randn(1)},
        {"phoneme.weight": torch.randn(4, 2)}, torch.arange(5),
    )  # fmt: skip
    write_continuation(tmp_path / "continue.safetensors", content)
    again = continuation_of(tmp_path, None)
    assert torch.equal(again.token_classes, content.token_classes)
    for part in ("posterior", "judges", "heads"):
        for name, value in getattr(content, part).items():
            torch.testing.assert_close(getattr(again, part)[name], value, atol=1e-2, rtol=1e-3)
