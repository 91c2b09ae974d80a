import { describe, expect, it } from 'vitest';
import { textToPhonemes } from '../frontend.js';
import type { PolyphonePredictor } from '../polyphones.js';

/** Says the same reading of every character it is asked for, and remembers what that was. */
function scripted(reading: string | null, confidence = 0.9): PolyphonePredictor & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    name: 'g2pW',
    asked,
    knows: (character) => '蔚发行藉地'.includes(character),
    async predict(text, offsets) {
      asked.push(offsets.map((offset) => text[offset]).join(''));
      return offsets.map(() => (reading === null ? null : { reading, confidence }));
    },
  };
}

const readings = async (text: string, polyphones: PolyphonePredictor | null) =>
  (await textToPhonemes(text, { language: 'zh', symbols: 'v2', polyphones })).units
    .filter(({ reading }) => reading !== '')
    .map(({ text: character, reading, rule }) => `${character}${reading} ${rule}`);

describe('a model of polyphones that is passed in', () => {
  it('decides what words and rules leave open, once a sentence', async () => {
    const predictor = scripted('yu4');
    const read = await readings('直隶蔚州人去银行理发，地很大。', predictor);
    expect(predictor.asked).toEqual(['蔚']);
    expect(read).toContain('蔚yu4 g2pW');
    expect(read).toContain('行hang2 phrase');
  });

  it('is not followed where it is not sure, or says what no voice could say', async () => {
    for (const unsure of [scripted('yu4', 0.4), scripted('xyz9'), scripted(null)]) {
      expect(await readings('直隶蔚州人', unsure)).toContain('蔚wei4 character');
    }
  });

  it('leaves other languages and texts without such characters alone', async () => {
    const predictor = scripted('yu4');
    await readings('Hello，你好。', predictor);
    expect(predictor.asked).toEqual([]);
  });
});
