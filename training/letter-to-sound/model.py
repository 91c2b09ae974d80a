"""The letter-to-sound network: bidirectional GRU over letters, then a GRU that tags each letter with a phone chunk.

The tagger sees the encoder's state at its letter and the chunk it chose for the letter before, which is what carries
stress through a word. inference.ts in src/text/en computes the same; export.py writes the weights.
"""

import torch
from torch import nn


class LetterToSound(nn.Module):
    def __init__(self, letters, chunks, letter_size=48, encoder_size=160, chunk_size=64, tagger_size=256, dropout=0.3):
        super().__init__()
        self.sizes = dict(
            letters=letters,
            chunks=chunks,
            letter_size=letter_size,
            encoder_size=encoder_size,
            chunk_size=chunk_size,
            tagger_size=tagger_size,
        )
        self.letter = nn.Embedding(letters, letter_size, padding_idx=0)
        self.encoder1 = nn.GRU(letter_size, encoder_size, batch_first=True, bidirectional=True)
        self.encoder2 = nn.GRU(2 * encoder_size, encoder_size, batch_first=True, bidirectional=True)
        self.chunk = nn.Embedding(chunks + 1, chunk_size)  # the last row stands for "start"
        self.tagger = nn.GRU(2 * encoder_size + chunk_size, tagger_size, batch_first=True)
        self.out = nn.Linear(tagger_size, chunks)
        self.dropout = nn.Dropout(dropout)

    def encode(self, letters):
        # (batch, length) -> (batch, length, 2 * encoder_size); batches hold words of one length, so no padding.
        x = self.dropout(self.letter(letters))
        x = self.dropout(self.encoder1(x)[0])
        return self.dropout(self.encoder2(x)[0])

    def forward(self, letters, previous):
        x = torch.cat([self.encode(letters), self.dropout(self.chunk(previous))], dim=-1)
        return self.out(self.dropout(self.tagger(x)[0]))

    @torch.no_grad()
    def decode(self, letters, beam=4):
        """Beam search; (batch, length) of one length -> (batch, length) chunk ids of the best path."""
        encoded = self.encode(letters)
        batch, length = letters.shape
        start = self.out.out_features
        previous = torch.full((batch, 1), start)
        state = torch.zeros(1, batch, self.tagger.hidden_size)
        score = torch.zeros(batch, 1)
        paths = torch.zeros(batch, 1, 0, dtype=torch.long)
        for i in range(length):
            width = score.shape[1]
            x = torch.cat([encoded[:, i : i + 1].expand(-1, width, -1), self.chunk(previous)], dim=-1)
            y, state = self.tagger(x.reshape(batch * width, 1, -1), state)
            logp = self.out(y[:, 0]).log_softmax(-1).view(batch, width, -1) + score[:, :, None]
            vocabulary = logp.shape[-1]
            score, flat = logp.view(batch, -1).topk(min(beam, width * vocabulary), dim=-1)
            origin, previous = flat // vocabulary, flat % vocabulary
            paths = torch.cat([paths.gather(1, origin[:, :, None].expand(-1, -1, i)), previous[:, :, None]], dim=-1)
            state = state.view(batch, width, -1).gather(1, origin[:, :, None].expand(-1, -1, state.shape[-1]))
            state = state.reshape(1, -1, state.shape[-1])
        return paths[:, 0]
