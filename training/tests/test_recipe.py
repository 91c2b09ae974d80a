"""Packing, and the whole recipe from a prepared folder to files in the official formats."""

import json
from pathlib import Path

import numpy as np
import pytest

from timbre_training.pack import pack, unpack
from timbre_training.recipe import Plan, run_recipe


def test_packed_speech_sounds_the_same_and_stays_in_place(prepared: Path, tmp_path: Path) -> None:
    parts = pack(prepared, tmp_path / "packed", part_bytes=1)
    assert len(parts) == 2
    unpack(tmp_path / "packed", tmp_path / "again")
    before, after = (np.load(folder / "audio.npy").astype(float) for folder in (prepared, tmp_path / "again"))
    assert len(before) == len(after)
    assert np.corrcoef(before, after)[0, 1] > 0.98
    assert parts[1].stat().st_size * 8 / (len(before) / 16_000) < 30_000
    names = {path.name for path in prepared.iterdir()}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    assert (tmp_path / "again" / "items.jsonl").read_bytes() == (prepared / "items.jsonl").read_bytes()
    parts[1].unlink()
    with pytest.raises(ValueError, match=r"lacks speech blocks \[0\] of 1"):
        unpack(tmp_path / "packed", tmp_path / "incomplete")


def test_the_recipe_exports_models_and_a_second_call_goes_on(prepared: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "data"
    pack(prepared, tmp_path / "packed", 2**20)
    unpack(tmp_path / "packed", unpacked)
    plan = Plan(unpacked, tmp_path / "runs", tmp_path / "out", "cpu", 1, 1, encoder_steps=1, steps=1, tuning_steps=2)
    assert run_recipe(plan, 10_000) == {"token_encoder": 1, "sovits": 1, "text2semantic": 1}
    # The layout that `npm run demo:update` takes.
    parts = ("s1.ckpt", "s2.pth", "token-encoder/model.safetensors", "token-encoder/config.json", "demo-voice.json")
    for name in (*parts, "ref_zh.wav", "ref_en.wav"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    report = run_recipe(Plan(**{**plan.__dict__, "steps": 2}), 10_000)
    assert report == {"token_encoder": 1, "sovits": 2, "text2semantic": 2}
    moved = (tmp_path / "out" / "continue.safetensors").rename(tmp_path / "continue.safetensors")
    begun = Plan(**{
        **plan.__dict__, "runs": tmp_path / "later", "output": tmp_path / "new",
        "start": tmp_path / "out", "continuation": moved, "fitting": 1,
    })  # fmt: skip
    assert run_recipe(begun, 10_000) == {"token_encoder": 1, "sovits": 1, "text2semantic": 1}
    lines = (tmp_path / "out" / "text2semantic-metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines][-1] == 2


@pytest.fixture(autouse=True)
def in_the_training_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
