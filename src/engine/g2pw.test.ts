import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { g2pwGraph, writeG2pwModel } from '../../test/fixtures/g2pw-model.js';
import { explainText } from '../text/explain.js';
import type { PolyphonePredictor } from '../text/polyphones.js';
import { createEngine } from './engine.js';
import { readG2pw } from './g2pw.js';
import { g2pwHere } from './g2pw-here.js';
import { startInferenceThread } from './inference-threads.js';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(...without: readonly string[]): string {
  const made = mkdtempSync(join(tmpdir(), 'timbre-g2pw-'));
  folders.push(made);
  writeG2pwModel(made);
  for (const name of without) rmSync(join(made, name));
  return made;
}

async function readingOf(text: string, character: string, polyphones: PolyphonePredictor | null): Promise<string> {
  const items = await explainText(text, { language: 'zh', symbols: 'v2', method: 'cut0', polyphones });
  const words = items.flatMap((item) => (item.type === 'sentence' ? item.spans.flatMap((span) => span.words) : []));
  const word = words.find((candidate) => candidate.text.includes(character));
  return `${word?.reading}: ${word?.rule}`;
}

describe('a model of g2pW that the operator supplies', () => {
  it('decides a reading by the words around it, where ours would', async () => {
    const g2pw = g2pwHere(folder());
    expect(await readingOf('直隶蔚，州。', '蔚', g2pw)).toBe('yu4: g2pW');
    expect(await readingOf('蔚，然。', '蔚', g2pw)).toBe('wei4: character');
    expect(await readingOf('藉，狼。', '藉', g2pw)).toMatch(/^ji2/);
  });

  it('leaves what words and rules decide to them', async () => {
    expect(await readingOf('蔚然成风，州。', '蔚', g2pwHere(folder()))).toMatch(/^wei4 .*phrase/);
  });

  it('is asked in traditional characters where it was trained on them', () => {
    const g2pw = g2pwHere(folder());
    expect(['长', '長', '蔚', '州', '一'].map((character) => g2pw.knows(character))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('reads a long text window by window, and offsets count UTF-16 units', async () => {
    const text = `${'一'.repeat(290)}😀蔚州,${'二'.repeat(290)}蔚然`;
    const at = [text.indexOf('蔚'), text.lastIndexOf('蔚')];
    const answers = await g2pwHere(folder()).predict(text, [...at, 0]);
    expect(answers).toEqual([
      { reading: 'yu4', confidence: expect.closeTo(1) },
      { reading: 'wei4', confidence: expect.closeTo(1) },
      null,
    ]);
  });

  it('runs on the analysis thread', async () => {
    const model = readG2pw(folder());
    const thread = await startInferenceThread('analyse', folder(), 1);
    try {
      await thread.call('loadPolyphones', { path: model.path });
      const call = {
        path: model.path,
        ids: [2, 4, 7, 3],
        labels: 6,
        queries: [{ position: 1, character: 0, candidates: [4, 5] }],
      };
      const probabilities = await thread.call<Float32Array>('polyphones', call);
      expect([...probabilities].map((value) => Math.round(value))).toEqual([0, 0, 0, 0, 0, 1]);
    } finally {
      await thread.close();
    }
  });

  it.each<[string, () => string, string]>([
    ['a folder that is not there', () => join(tmpdir(), 'timbre-no-such-folder'), 'there is no such folder'],
    ['no network', () => folder('g2pW.onnx'), 'it has no g2pW.onnx'],
    ['no list', () => folder('POLYPHONIC_CHARS.txt'), 'it has no POLYPHONIC_CHARS.txt'],
    ['no vocabulary', () => folder('vocab.txt'), 'it has no vocab.txt'],
    ['a list of something else', () => changed('POLYPHONIC_CHARS.txt', 'hello\n'), 'line 1 of POLYPHONIC_CHARS.txt'],
    ['readings of another kind', () => changed('POLYPHONIC_CHARS.txt', '行\tháng\n'), 'has no readings in bopomofo'],
    ['another vocabulary', () => changed('vocab.txt', 'a\nb\n'), 'has no [UNK]'],
    ['a file that is no network', () => changed('g2pW.onnx', 'hello'), 'its network cannot be opened'],
    ['another network', () => other(), 'its network has no input token_type_ids, attention_mask'],
  ])('with %s is an error that says so, before anything is spoken', async (_, made, problem) => {
    expect(() => g2pwHere(made())).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(problem) }),
    );
  });

  it('makes the engine refuse to start where it is wrong', async () => {
    const start = (g2pwFolder: string) =>
      createEngine({ dataDir: folder(), threads: 1, importDemo: false, g2pwFolder });
    await expect(start(folder('vocab.txt'))).rejects.toThrow('it has no vocab.txt');
    await expect(start(other())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const engine = await start(folder());
    try {
      // what the engine itself reads without a lexicon
      const lexicon = 'word,language,alphabet,reading\n蔚,zh,pinyin,wei4\n';
      const asked = {
        text: '直隶蔚，州。',
        language: 'zh',
        before: [],
        after: [{ name: 'own', text: lexicon }],
      } as const;
      expect(await engine.compareReadings(asked)).toMatchObject([{ written: '蔚', before: 'yu4', after: 'wei4' }]);
    } finally {
      await engine.close();
    }
  });
});

function changed(name: string, content: string): string {
  const made = folder();
  writeFileSync(join(made, name), content);
  return made;
}

function other(): string {
  const made = folder();
  writeG2pwModel(made, g2pwGraph(['input_ids', 'phoneme_mask', 'char_ids', 'position_ids']));
  return made;
}
