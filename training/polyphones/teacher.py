"""What g2pM's weights think of each character of several readings: the first teacher. See README.md."""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

SENTENCE_ENDS = ["시", "끝"]  # their names in the model's own table
UNKNOWN = "<UNK>"


class G2pM(nn.Module):
    """The network of g2pM 0.1.2.5 with its weights; `folder` is the package's own, from pip."""

    def __init__(self, folder):
        super().__init__()

        # The package's own files, checked by pip; unpickled here and never at serving time.
        def load(name):
            return pickle.loads((Path(folder) / name).read_bytes())

        self.index, classes, weights = load("char2idx.pkl"), load("class2idx.pkl"), load("np_ckpt.pkl")
        self.candidates = {
            character: [reading.replace("u:", "v") for reading in known if reading in classes]
            for character, known in load("digest_cedict.pkl").items()
            if len(character) == 1
        }
        self.candidates = {character: known for character, known in self.candidates.items() if len(known) > 1}
        self.classes = {name.replace("u:", "v"): index for name, index in classes.items()}
        units = weights["lstm.weight_hh_l0"].shape[1]
        self.embedding = nn.Embedding(*weights["embedding.weight"].shape)
        self.lstm = nn.LSTM(weights["embedding.weight"].shape[1], units, batch_first=True, bidirectional=True)
        self.logit_layer = nn.Sequential(nn.Linear(2 * units, units), nn.ReLU(), nn.Linear(units, len(classes)))
        self.load_state_dict({name: torch.as_tensor(np.asarray(value)) for name, value in weights.items()})

    @torch.no_grad()
    def probabilities(self, asked):
        """`asked`: (sentence, places) pairs; yields, for each, one distribution over the candidates a place."""
        for start in range(0, len(asked), 512):
            part = asked[start : start + 512]
            ids = [
                [self.index.get(c, self.index[UNKNOWN]) for c in (SENTENCE_ENDS[0], *text, SENTENCE_ENDS[1])]
                for text, _ in part
            ]
            lengths = torch.tensor([len(row) for row in ids])
            padded = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], batch_first=True)
            packed = pack_padded_sequence(self.embedding(padded), lengths, batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
            rows = [row for row, (_, places) in enumerate(part) for _ in places]
            columns = [place + 1 for _, places in part for place in places]
            logits = self.logit_layer(states[rows, columns])
            at = 0
            for text, places in part:
                found = []
                for place in places:
                    chosen = [self.classes[reading] for reading in self.candidates[text[place]]]
                    found.append(torch.softmax(logits[at][chosen], 0).numpy())
                    at += 1
                yield found
