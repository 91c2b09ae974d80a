"""The parts that training stands on: alignment, tokens, measures, audio."""

from pathlib import Path

import numpy as np
import pytest
import torch

from timbre_training.align import align_items
from timbre_training.audio import SAMPLE_RATE_HZ, Trim, load_recording, tight_span
from timbre_training.dataset import Dataset, Item, read_dataset, to_int16
from timbre_training.envelope import EnvelopeModel, envelope_example, fit_envelopes
from timbre_training.evaluate import identify
from timbre_training.losses import cepstra
from timbre_training.make_tokens import TOKENS, make_quantiser, shares
from timbre_training.make_utterances import align_tokens, make_utterances
from timbre_training.measures import edit_distance, voicing, word_errors
from timbre_training.phonemes import read_phonemes
from timbre_training.quantiser import nearest_centroid
from timbre_training.sovits import Sovits, SovitsSizes
from timbre_training.train_prior import movement


def tone(hz: float, seconds: float) -> np.ndarray:
    time = np.arange(int(SAMPLE_RATE_HZ * seconds)) / SAMPLE_RATE_HZ
    return sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 8)).astype(np.float32) * 0.1


def hiss(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(SAMPLE_RATE_HZ * seconds)).astype(np.float32) * 0.1


def test_voiced_sound_has_harmonics_and_pitch_and_hiss_has_none() -> None:
    voiced = voicing(tone(200, 1))
    assert voiced.share > 0.95
    assert voiced.pitch_hz == pytest.approx(200, rel=0.02)
    assert voicing(hiss(1)).share < 0.05


def test_cepstra_tell_the_shape_of_a_spectrum_and_not_the_chance_in_it() -> None:
    noises = [torch.from_numpy(hiss(1, seed))[None] for seed in (1, 2)]
    darker = torch.nn.functional.avg_pool1d(noises[1][None], 3, 1, padding=1)[0] * 1.5
    first, same, other = (cepstra(one, SAMPLE_RATE_HZ) for one in (*noises, darker))
    assert float((first - other).abs().mean()) > 2 * float((first - same).abs().mean())


def test_the_envelope_model_learns_what_the_decoder_makes_of_a_latent() -> None:
    torch.manual_seed(0)
    sizes = SovitsSizes(
        inter_channels=8, hidden_channels=8, filter_channels=8, n_layers=2, upsample_initial_channel=32, gin_channels=8,
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]],
    )  # fmt: skip
    sovits, random = Sovits(sizes).eval(), np.random.default_rng(0)
    with torch.no_grad():
        for weight in sovits.dec.parameters():
            weight.mul_(3)  # loud enough that the envelope is the latent's doing
    examples = [envelope_example(sovits, torch.randn(8, 80), torch.randn(8, 1), random) for _ in range(12)]
    assert envelope_example(sovits, torch.randn(8, 20), torch.randn(8, 1), random) is None
    model = EnvelopeModel(8, 8, width=32)
    first = fit_envelopes(model, examples, steps=10)
    assert fit_envelopes(model, examples, steps=60) < 0.7 * first


def test_movement_is_the_spread_where_the_mask_is_one() -> None:
    values = torch.tensor([[[1.0, -1.0, 1.0, -1.0, 50.0]]])
    assert float(movement(values, torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]]))) == pytest.approx(1.0, abs=1e-3)


def test_word_errors_count_edits_against_what_was_said() -> None:
    assert word_errors("The cat sat.", "a cat sat down") == (2, 3)
    assert edit_distance([], ["a", "b"]) == 2


def test_a_recording_is_trimmed_levelled_and_resampled(tmp_path: Path) -> None:
    import soundfile

    silence = np.zeros(48_000)
    speech = np.interp(np.arange(48_000) / 3, np.arange(16_000), hiss(1))
    soundfile.write(tmp_path / "a.wav", np.concatenate([silence, speech, silence]), 48_000)
    loaded = load_recording(tmp_path / "a.wav", Trim(40, 0.05, 0.1))
    assert loaded is not None
    assert len(loaded) == pytest.approx(1.15 * SAMPLE_RATE_HZ, abs=800)
    assert np.sqrt(np.mean(loaded[2000:14_000] ** 2)) == pytest.approx(0.085, rel=0.1)
    first, last = tight_span(loaded)
    assert last - first < len(loaded)


def test_alignment_finds_where_sounds_change() -> None:
    rng = np.random.default_rng(1)
    items, pieces, changes = [], [], []
    start = 0
    for number in range(12):
        voice, noise = tone(200, rng.uniform(0.2, 0.4)), hiss(rng.uniform(0.2, 0.4), 50 + number)
        voice = voice + 0.1 * hiss(len(voice) / SAMPLE_RATE_HZ, 90 + number)[: len(voice)]
        order = [("AA1", 10, voice), ("S", 75, noise)][:: 1 if number % 2 else -1]
        quiet = hiss(0.1, number) * 0.001
        samples = np.concatenate([quiet, *(sound for _, _, sound in order), quiet])
        symbols, ids = [order[0][0], order[1][0], "."], [order[0][1], order[1][1], 3]
        items.append(Item(f"x/{number}", "en", "x", "as", False, symbols, ids, start, len(samples)))
        pieces.append(to_int16(samples))
        changes.append((0.1, 0.1 + len(order[0][2]) / SAMPLE_RATE_HZ))
        start += len(samples)
    dataset = Dataset(items, np.concatenate(pieces), {})
    found = align_items(dataset, items, rounds=4)
    for item, (begin, change) in zip(items, changes, strict=True):
        frames = found[item.id]
        assert np.flatnonzero(frames == 0)[0] * 0.02 == pytest.approx(begin, abs=0.05)
        assert np.flatnonzero(frames == 1)[0] * 0.02 == pytest.approx(change, abs=0.05)


def test_tokens_of_glued_words_point_to_the_sentence_phonemes() -> None:
    parts = [(0, 6400, 0), (9000, 6400, 640)]
    spoken = [(0, np.zeros(20, dtype=int), np.array([0])), (0, np.zeros(20, dtype=int), np.array([1]))]
    aligned = align_tokens(parts, spoken)
    assert len(aligned) == (6400 * 2 + 640) // 640
    assert aligned[:10] == [0] * 10
    assert aligned[10] == -1
    assert aligned[11:] == [1] * 10


def test_sentences_are_glued_from_words_not_held_out(prepared: Path) -> None:
    dataset = read_dataset(prepared)
    items = [
        Item(
            **{
                **item.__dict__,
                "speaker": "kathleen" if item.language == "en" else "yue-tan",
                "phonemes": item.phonemes,
            }
        )
        for item in dataset.items
    ]
    comma = Item(**{**items[0].__dict__, "phonemes": ["AA1", ",", "T", "."], "ids": [10, 1, 80, 3]})
    made = make_utterances(Dataset([comma, *items[1:]], dataset.audio, dataset.alignment), 1, 4.0, 2)
    assert [one.id for one in made] == list(range(len(made)))
    held = {(item.start, item.start + item.length) for item in items if item.held_out}
    for one in made:
        assert len(one.aligned) == one.length // 640
        assert max(one.aligned) < len(one.ids)
        if not one.held_out:
            assert all(not (a <= start < b) for start, _, _ in one.parts for a, b in held)


def test_every_phoneme_gets_tokens_by_the_root_of_its_frequency() -> None:
    classes = shares(np.repeat([0, 5, 9], [10_000, 2_500, 100]))
    assert len(classes) == TOKENS
    counts = np.bincount(classes)
    assert counts[0] / counts[5] == pytest.approx(2, rel=0.02)
    assert counts[5] / counts[9] == pytest.approx(5, rel=0.05)


def test_tuning_makes_the_nearest_centroid_find_the_wanted_token() -> None:
    rng = np.random.default_rng(0)
    phonemes = rng.integers(0, 40, 6_000)
    sounds = rng.standard_normal((40, 32))
    pairs = (sounds[phonemes] + 1.8 * rng.standard_normal((6_000, 32))).astype(np.float16)
    plain, tuned = (
        make_quantiser(pairs, phonemes, seed=1, tuning_steps=steps, device=torch.device("cpu")) for steps in (0, 40)
    )
    right = [float((one.classes[one.heard] == phonemes).mean()) for one in (plain, tuned)]
    assert np.all(plain.classes[plain.tokens] == phonemes)
    assert right[1] > right[0] + 0.02
    pair = torch.from_numpy(pairs[:50].astype(np.float32)).reshape(50, 2, 16)
    official = torch.nn.functional.conv1d(pair.transpose(1, 2), tuned.weight, tuned.bias, stride=2)[..., 0]
    assert np.array_equal(nearest_centroid(official, tuned.centroids).numpy(), tuned.heard[:50])


def test_phonemes_with_two_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "phonemes.jsonl"
    path.write_text('{"id": "a", "phonemes": ["T"], "ids": [80]}\n{"id": "b", "phonemes": ["T"], "ids": [81]}\n')
    with pytest.raises(ValueError, match="T has id 81, earlier lines say 80"):
        read_phonemes(path)


def test_the_listener_picks_the_word_whose_sounds_occur_in_order() -> None:
    spoken = [0, 0, 3, 3, 3, 1, 1, 2, 2, 0]
    scores = np.full((len(spoken), 4), -3.0, dtype=np.float32)
    scores[np.arange(len(spoken)), spoken] = -0.1
    assert identify(scores, [[1, 2, 3], [3, 1, 2], [3, 2, 1], [3]]) == 1
