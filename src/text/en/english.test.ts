import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSymbol } from '../symbols.js';
import { englishPhonemes } from './english.js';
import { letterToSound } from './letter-to-sound.js';
import { partOfSpeech } from './part-of-speech.js';
import { pronounceWord } from './words.js';

const phones = (text: string) => englishPhonemes(text, { symbols: 'v2' }).phonemes.join(' ');

describe('English phonemes', () => {
  it('reads words from the lexicon and keeps the marks', () => {
    expect(phones('Thank you for calling.')).toBe('TH AE1 NG K Y UW1 F AO1 R K AO1 L IH0 NG .');
  });

  it('puts a comma in front of fewer than four phonemes', () => {
    expect(phones('OK')).toBe(', OW1 K EY1');
    expect(phones('')).toBe(',');
  });

  it('reads a capital A as a letter and a small one as the article', () => {
    expect(phones('A big cat')).toBe('EY1 B IH1 G K AE1 T');
    expect(phones('see a cat')).toBe('S IY1 AH0 K AE1 T');
  });

  it('reads names of capitalised words, and short unknown words by letters', () => {
    expect(pronounceWord('Elon').join(' ')).toBe('EH1 L AH0 N');
    expect(pronounceWord('kpx').join(' ')).toBe('K EY1 P IY1 EH1 K S');
  });

  it.each([
    ["Nvidia's", 'EH1 N V IH1 D IY0 AH0 Z'],
    ["shouldn't've", 'SH UH1 D AH0 N T AH0 V'],
    ['webhook', 'W EH1 B HH UH1 K'],
    ['low-latency', 'L OW1 L EY1 T AH0 N S IY0'],
    ['re-enter', 'R IY0 EH1 N T ER0'],
    ['dockerfiles', 'D AA1 K ER0 F AY1 L Z'],
    ['misconfigured', 'M IH0 S K AH0 N F IH1 G Y ER0 D'],
    ['Kubernetes', 'K UW2 B ER0 N EH1 T IY0 Z'],
  ])('reads %s from its parts', (word, expected) => {
    expect(pronounceWord(word).join(' ')).toBe(expected);
  });

  it('gives only symbols of the table, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        for (const phone of englishPhonemes(text, { symbols: 'v1' }).phonemes) {
          expect(isSymbol(phone, 'v1'), phone).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('letter to sound', () => {
  it('sounds out words with stress', () => {
    const answer = letterToSound('blorptastic').join(' ');
    expect(answer).toMatch(/^B L AO\d R P T AE1 S T IH0 K$/);
  });

  it('answers every run of letters with phones, no more than three a letter', () => {
    const letters = fc.stringMatching(/^[a-z']{1,25}$/);
    fc.assert(
      fc.property(letters, (word) => {
        const answer = letterToSound(word);
        expect(answer.length).toBeLessThanOrEqual(3 * word.length);
        for (const phone of answer) expect(isSymbol(phone, 'v1'), phone).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe('part of speech of homographs', () => {
  it.each([
    ['please record the call', 1, 'V'],
    ['the new record is out', 2, 'N'],
    ['they refuse to leave', 1, 'V'],
    ['he has read it', 2, 'VBN'],
    ['I will read it', 2, 'VB'],
    ['you can use it', 2, 'V'],
    ['it is of no use', 4, 'N'],
    ['the store closes at ten', 2, 'V'],
    ['we are close to home', 2, 'J'],
    ['a complex problem', 1, 'J'],
    ['the office complex.', 2, 'N'],
    ['he used to sing', 1, 'VBD'],
    ['it was used for years', 2, 'VBN'],
    ['prices increase when demand rises', 1, 'V'],
    ['an increase in demand', 1, 'N'],
  ])('in "%s"', (sentence, index, tag) => {
    expect(partOfSpeech(sentence.match(/[\w']+|\S/g) ?? [], index)).toMatch(new RegExp(`^${tag}`));
  });
});
