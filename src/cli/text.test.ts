import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeG2pwModel } from '../../test/fixtures/g2pw-model.js';
import { runCli } from './program.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-text-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

class Capture extends Writable {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(part: Buffer, _encoding: string, done: () => void): void {
    this.text += part.toString();
    done();
  }
}

async function timbre(
  argv: readonly string[],
  { tty = false, env = {} }: { tty?: boolean; env?: NodeJS.ProcessEnv } = {},
) {
  const stdout = new Capture(tty);
  const stderr = new Capture(tty);
  const exitCode = await runCli(argv, {
    version: '1.2.3',
    stdout,
    stderr,
    stdin: Object.assign((async function* () {})(), { isTTY: true }),
    env: { TIMBRE_DATA: join(folder, 'data'), ...env },
    signal: new AbortController().signal,
    signals: { on: () => {}, exit: () => {} },
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('timbre text explain with a model of g2pW', () => {
  it('names it behind what it decided, and what is wrong with one', async () => {
    const model = join(folder, 'g2pw');
    mkdirSync(model);
    writeG2pwModel(model);
    const explain = ['text', 'explain', '--lang', 'zh', '直隶蔚，州。'];
    const { exitCode, stdout } = await timbre(explain, { env: { TIMBRE_G2PW_FOLDER: model } });
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/蔚.*yu4.*g2pW/)]);
    rmSync(join(model, 'vocab.txt'));
    const { exitCode: failed, stderr } = await timbre(explain, { env: { TIMBRE_G2PW_FOLDER: model } });
    expect([failed, stderr]).toEqual([1, expect.stringContaining('it has no vocab.txt')]);
  });
});

describe('timbre text explain', () => {
  it('shows languages, what is read, each reading and its rule, with colours on a terminal only', async () => {
    const { stdout } = await timbre(['text', 'explain', '花了￥199买iPhone', '-l', 'zh']);
    expect(stdout).toContain('zh  花了一百九十九元买');
    expect(stdout).toMatch(/九元 ← ￥199 +jiu3 yuan2 +j iu3 y van2/);
    expect(stdout).toMatch(/Phone +F OW1 N +F OW1 N +dictionary/);
    expect(stdout).not.toContain('\u001b');
    expect((await timbre(['text', 'explain', '你好'], { tty: true })).stdout).toContain('\u001b[31mzh');
    expect((await timbre(['text', 'explain', '你好'], { tty: true, env: { NO_COLOR: '1' } })).stdout).not.toContain(
      '\u001b',
    );
  });

  it('prints JSON whose places are those of the text', async () => {
    const text = '<speak>重量<say-as interpret-as="cardinal">2024</say-as>克<mark name="end"/></speak>';
    const { stdout } = await timbre(['text', 'explain', '--ssml', '--json', text]);
    const [sentence, mark] = JSON.parse(stdout);
    expect(sentence.spans[0].normalizedText).toBe('重量二千零二十四克.');
    const words = sentence.spans[0].words.map((word: { text: string; start: number; end: number }) => [
      word.text,
      text.slice(word.start, word.end),
    ]);
    expect(words).toEqual([
      ['重量', '重量'],
      ['二千', '2024'],
      ['零', '2024'],
      ['二十四', '2024'],
      ['克', '克'],
    ]);
    expect(mark).toEqual({ type: 'mark', name: 'end', at: text.indexOf('<mark') });
  });

  it.each([
    [['text', 'explain', '你好', '-l', 'xx'], 'LANGUAGE_UNSUPPORTED'],
    [['text', 'explain', '你好', '--split', 'xx'], 'REQUEST_INVALID'],
    [['text', 'explain', '<speak>', '--ssml'], 'SSML_INVALID'],
    [['text', 'explain', '你好', '--lexicon', 'none'], 'LEXICON_NOT_FOUND'],
  ])('refuses %j with %s', async (argv, code) => {
    const { exitCode, stderr } = await timbre(argv);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`[${code}]`)]);
  });
});

describe('timbre lexicon', () => {
  it('imports versions, which apply at once, and exports them as CSV and PLS', async () => {
    const first = file('first.csv', '银行,zh,pinyin,yin2 xing2\nCEO,,replacement,首席执行官\n');
    expect((await timbre(['lexicon', 'import', 'default', first])).stdout).toBe(
      'imported default, version 1, 2 entries\n',
    );
    expect((await timbre(['text', 'explain', '去银行'])).stdout).toMatch(
      /银行 +yin2 xing2 .*lexicon default@1, line 1/,
    );
    const second = file('second.csv', '银行,zh,pinyin,yin2 hang2\n');
    await timbre(['lexicon', 'import', 'default', second]);
    expect((await timbre(['text', 'explain', '去银行'])).stdout).toMatch(
      /银行 +yin2 hang2 .*lexicon default@2, line 1/,
    );
    expect((await timbre(['lexicon', 'list'])).stdout).toMatch(/default +2 +1\n/);
    const pls = join(folder, 'out.pls');
    await timbre(['lexicon', 'export', 'default', '--format', 'pls', '--lang', 'zh', '-o', pls]);
    expect(readFileSync(pls, 'utf8')).toContain(
      '<grapheme>银行</grapheme><phoneme alphabet="x-pinyin">yin2 hang2</phoneme>',
    );
    expect((await timbre(['lexicon', 'import', 'again', pls])).stdout).toContain('1 entries');
    expect((await timbre(['lexicon', 'export', 'again'])).stdout).toBe(
      'word,language,alphabet,reading\n银行,zh,pinyin,yin2 hang2\n',
    );
    expect((await timbre(['lexicon', 'export', 'default', '--version-number', '1'])).stdout).toContain(
      'CEO,,replacement',
    );
    await timbre(['lexicon', 'remove', 'default']);
    expect((await timbre(['lexicon', 'list'])).stdout).not.toContain('default');
  });

  it('names the lines that cannot be used, and imports the others only when told to', async () => {
    const path = file('bad.csv', '行,zh,pinyin,hang2\n行,zh,pinyin,xing2\n银行,zh,pinyin,x9\n');
    const refused = await timbre(['lexicon', 'import', 'bad', path]);
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/2 entries .* line 2: "行" .* line 3: "x9".*\[LEXICON_INVALID\]/),
    ]);
    const checked = await timbre(['lexicon', 'check', path]);
    expect(checked.stdout.trim().split('\n')).toHaveLength(2);
    const skipped = await timbre(['lexicon', 'import', 'bad', path, '--skip-invalid']);
    expect(skipped.stdout).toContain('imported bad, version 1');
    expect((await timbre(['text', 'explain', '那行字', '--lexicon', 'bad'])).stdout).toContain('hang2');
  });

  it('previews what a file would change', async () => {
    const path = file('mine.csv', '银行,zh,pinyin,yin2 xing2\nAI,zh,pinyin,ei1 ai4\n');
    const { stdout } = await timbre(['lexicon', 'preview', path, '去银行，用AI', '--json', '-l', 'zh']);
    expect(JSON.parse(stdout)).toMatchObject([
      { written: '银行', before: 'yin2 hang2', after: 'yin2 xing2', rule: 'lexicon preview, line 1' },
      { written: 'AI', before: 'EY1 AY1', after: 'ei1 ai4' },
    ]);
    expect((await timbre(['lexicon', 'preview', path, '你好'])).stdout).toBe('nothing is read otherwise\n');
  });
});
