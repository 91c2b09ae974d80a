"""The models compute what the reference implementation computes: the starter voice's recorded cases."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from timbre_training.export import write_half_encoder, write_sovits, write_text2semantic
from timbre_training.generate import Sampling, generate
from timbre_training.quantiser import codebook_state
from timbre_training.sovits import Sovits, SovitsSizes
from timbre_training.spectrogram import magnitude
from timbre_training.text2semantic import Text2Semantic, Text2SemanticSizes
from timbre_training.token_encoder import TokenEncoder, TokenEncoderSizes, read_token_encoder

STARTER = Path(os.environ.get("TIMBRE_DEMO_VOICE", Path(__file__).resolve().parents[2] / "../shared/demo-voice"))
GREEDY = Sampling(top_k=1, temperature=1.0, repetition_penalty=1.35, longest=300)
CASES = [(0, False), (1, True), (4, True)]


def weights(name: str) -> dict[str, torch.Tensor]:
    content = torch.load(STARTER / name, weights_only=True)
    return {key.removeprefix("model."): value.float() for key, value in content["weight"].items()}


@pytest.fixture(scope="module")
def sovits() -> Sovits:
    model = Sovits(SovitsSizes(filter_channels=384)).eval()
    model.load_state_dict(weights("s2.pth"), strict=False)
    return model


@pytest.mark.parametrize(("number", "prompted"), CASES)
def test_tokens_and_waveforms_are_those_of_the_reference(number: int, prompted: bool, sovits: Sovits) -> None:
    text2semantic = Text2Semantic(Text2SemanticSizes(linear_units=768)).eval()
    text2semantic.load_state_dict(weights("s1.ckpt"))
    encoder = read_token_encoder(STARTER / "ssl").eval()
    case = load_file(STARTER / "cases" / f"case_{number}.safetensors")
    reference = case["reference_wave"]
    spectrogram = magnitude(reference[None], 1024, 320)
    torch.testing.assert_close(spectrogram[0], case["reference_spectrogram"], atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        content = encoder(torch.cat([reference, torch.zeros(1600)])[None]).transpose(1, 2)
    heard = sovits.extract_tokens(content)[0]
    assert torch.equal(heard, case["reference_codes"].long())
    prompt = heard if prompted else heard[:0]
    tokens, ended = generate(text2semantic, case["phoneme_ids"].long(), prompt, GREEDY)
    assert ended
    assert torch.equal(tokens, case["tokens"].long())
    made = sovits.decode(tokens[None], case["target_phoneme_ids"].long()[None], spectrogram, noise_scale=0.0)
    torch.testing.assert_close(made[0, 0], case["wave"], atol=1e-4, rtol=0)


def test_teacher_forcing_scores_what_stepping_chooses() -> None:
    torch.manual_seed(0)
    model = Text2Semantic(
        Text2SemanticSizes(embedding_dim=32, hidden_dim=32, head=2, linear_units=32, n_layer=2)
    ).eval()
    phonemes = torch.arange(10, 18)
    sampling = Sampling(top_k=1, repetition_penalty=1.0, longest=20)
    tokens, _ = generate(model, phonemes, torch.empty(0, dtype=torch.long), sampling)
    padded = torch.cat([torch.zeros(3, dtype=torch.long), phonemes])[None]
    with torch.no_grad():
        scores, _ = model(padded, torch.tensor([8]), tokens[None], torch.tensor([len(tokens)]))
    scores[0, :11, -1] = -torch.inf
    assert torch.equal(scores[0, : len(tokens)].argmax(-1), tokens)


def test_exported_files_hold_the_weights_in_official_shape(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sovits = Sovits(SovitsSizes())
    sovits.load_state_dict(codebook_state(torch.randn(1024, 192), torch.ones(1024)), strict=False)
    text2semantic = Text2Semantic(Text2SemanticSizes())
    encoder = TokenEncoder(TokenEncoderSizes()).eval()
    write_sovits(tmp_path / "s2.pth", sovits, 7)
    write_text2semantic(tmp_path / "s1.ckpt", text2semantic, 7)
    write_half_encoder(tmp_path / "token-encoder", encoder)
    files = ("s1.ckpt", "s2.pth", "token-encoder/model.safetensors")
    assert sum((tmp_path / name).stat().st_size for name in files) < 20_000_000
    stored = torch.load(tmp_path / "s2.pth", weights_only=True)
    expected = {name for name in sovits.state_dict() if not name.startswith("enc_q.")}
    assert set(stored["weight"]) == expected
    assert stored["config"]["model"]["filter_channels"] == sovits.enc_p.encoder2.ffn_layers[0].conv_1.out_channels
    assert all(value.dtype == torch.float16 for value in stored["weight"].values())
    stored = torch.load(tmp_path / "s1.ckpt", weights_only=True)
    assert stored["weight"]["model.bert_proj.weight"].shape == (192, 1024)
    assert set(stored["weight"]) == {f"model.{name}" for name in text2semantic.state_dict()}
    again = read_token_encoder(tmp_path / "token-encoder").eval()
    samples = torch.randn(1, 16_000)
    with torch.no_grad():
        torch.testing.assert_close(again(samples), encoder(samples), atol=0.05, rtol=0.05)
