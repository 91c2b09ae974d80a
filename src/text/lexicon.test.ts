import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readText, type SpeechItem, textToPhonemes } from './frontend.js';
import type { LanguageMode } from './language.js';
import { type CompiledLexicon, compileLexicon } from './lexicon.js';
import { readCsv, readLexiconFile, readPls, writeCsv, writePls } from './lexicon-files.js';
import { parseReading } from './readings.js';

async function readAll(...[text, options]: Parameters<typeof readText>): Promise<SpeechItem[]> {
  const items: SpeechItem[] = [];
  for await (const item of readText(text, options)) items.push(item);
  return items;
}

async function lexiconOf(csv: string): Promise<CompiledLexicon> {
  const { entries, problems } = readCsv(csv);
  expect(problems).toEqual([]);
  const compiled = await compileLexicon([{ name: 'ours', entries }]);
  expect(compiled.problems).toEqual([]);
  return compiled.lexicon;
}

/** The readings of a text by word, as `word/reading`. */
async function spoken(text: string, language: LanguageMode, lexicon: CompiledLexicon | null = null): Promise<string> {
  const units: string[] = [];
  for await (const item of readText(text, { language, method: 'sentence', symbols: 'v2', lexicon })) {
    if (item.type !== 'text') continue;
    const sentence = await textToPhonemes(item.text, { language, symbols: 'v2', readings: item.readings });
    expect(sentence.units.reduce((sum, unit) => sum + unit.phonemeCount, 0)).toBe(sentence.phonemes.length);
    for (const unit of sentence.units) if (unit.reading !== '') units.push(unit.reading);
  }
  return units.join(' ');
}

describe('a lexicon', () => {
  it.each<readonly [string, string, LanguageMode, string]>([
    ['银行,zh,pinyin,yin2 xing2', '去银行取钱', 'zh', 'yin2 xing2'],
    ['Timbre,en,arpabet,T AE1 M B ER0', 'Use Timbre now, please.', 'en', 'T AE1 M B ER0'],
    ['timbre,en,ipa,ˈtæmbər', 'Use Timbre now, please.', 'en', 'T AE1 M B ER0'],
    ['GPT-4o,en,arpabet,JH IY2 P IY2 T IY2 F AO1 R OW1', '我们用GPT-4o写作', 'zh', 'JH IY2 P IY2 T IY2 F AO1 R OW1'],
    ['AI,zh,pinyin,ei1 ai4', '我们的AI助手', 'zh', 'ei1 ai4'],
    ['😂,zh,pinyin,ha1 ha1', '真的😂好笑', 'zh', 'ha1 ha1'],
    ['CEO,,replacement,首席执行官', '他是CEO。', 'zh', 'shou3 xi2 zhi2 xing2 guan1'],
    ['行,yue,jyutping,haang4', '呢行好好', 'yue', 'haang4'],
    ['카카오톡,ko,hangul,카카오차', '오늘 카카오톡을 써요', 'ko', '카 카 오 차 을'],
  ])('with %s reads %s (%s) with %s', async (csv, text, language, reading) => {
    const before = await spoken(text, language);
    const after = await spoken(text, language, await lexiconOf(csv));
    expect(before).not.toContain(reading);
    expect(after).toContain(reading);
  });

  it('takes the longest word, whole words of letters only, and small letters in any case', async () => {
    const lexicon = await lexiconOf(
      '银行,zh,pinyin,a1 a1\n银行卡,zh,pinyin,o1 o1 o1\nlive,en,arpabet,L AY1 V\nUS,en,arpabet,Y UW1',
    );
    expect(await spoken('用银行卡', 'zh', lexicon)).toBe('yong4 o1 o1 o1');
    expect(await spoken('LIVE music, alive and delivered', 'en', lexicon)).toMatch(
      /^L AY1 V M .* AH0 L AY1 V .* D IH0 L/,
    );
    expect(await spoken('tell us in the US today', 'en', lexicon)).toBe('T EH1 L AH1 S IH0 N DH AH0 Y UW1 T AH0 D EY1');
  });

  it('of a voice wins over its tenant’s', async () => {
    const [tenant, voice] = [readCsv('行,zh,pinyin,hang2'), readCsv('行,zh,pinyin,xing2')];
    const { lexicon } = await compileLexicon([
      { name: 'tenant', entries: tenant.entries },
      { name: 'voice', entries: voice.entries },
    ]);
    expect(await spoken('那一行字', 'zh', lexicon)).toContain('xing2');
  });

  it('keeps its words whole when a text is cut into sentences', async () => {
    const lexicon = await lexiconOf('哇！哈,zh,replacement,哇哈\n停。走,zh,replacement,红绿灯组合');
    const items = await readAll('我们今天听了停。走的演唱会，真好。', { language: 'zh', method: 'sentence', lexicon });
    expect(items.map((item) => item.type === 'text' && item.text.text)).toEqual([
      '我们今天听了红绿灯组合的演唱会，真好。',
    ]);
  });

  it('names the lines of what cannot be read and of what contradicts itself', async () => {
    const file = readCsv(
      'word,language,alphabet,reading\n银行,zh,pinyin,yin2\n\n# comment\n行,zh,pinyin,xyz9\na,b\n行,zh,pinyin,hang2\n行,zh,pinyin,xing2\nx,fr,ipa,iks\n"open,en',
    );
    const { problems } = await compileLexicon([{ name: 'ours', entries: file.entries }]);
    expect(file.problems.map(({ line }) => line)).toEqual([6, 10]);
    expect(problems.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      '2: "银行" has 2 characters but 1 syllables',
      '5: "xyz9" is not a syllable of pinyin; expected such as hang2 or lv4',
      '8: "行" is read "xing2" here but "hang2" in line 7; remove one',
      '9: "fr" is not a language; expected zh, en, ja, ko or yue',
    ]);
  });

  it('goes through CSV and PLS and back', () => {
    const csv =
      'word,language,alphabet,reading\nA & B,zh,replacement,"甲, <乙>"\n"say ""hi""",zh,pinyin,shuo1 hai1\n行,zh,ipa,x\n';
    const { entries } = readCsv(csv);
    expect(writeCsv(entries)).toBe(csv);
    const again = readLexiconFile(writePls(entries, 'zh'));
    expect(again.problems).toEqual([]);
    expect(writeCsv(again.entries)).toBe(csv);
  });

  it('refuses a PLS with a document type, and says where', () => {
    expect(() => readPls('<?xml version="1.0"?>\n<!DOCTYPE lexicon [<!ENTITY a "b">]><lexicon/>')).toThrow(
      'PLS line 2, column 1: document types and entity declarations are not accepted',
    );
    expect(() => readPls('<lexicon><word/></lexicon>')).toThrow('expected <lexeme>');
  });

  it('reads any bytes as CSV without failing, in as many lines as there are', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', '行', ' ', '#') }), (text) => {
        const { entries, problems } = readCsv(text);
        const lines = text.split(/\r\n?|\n/).length;
        for (const { line } of [...entries, ...problems]) expect(line).toBeLessThanOrEqual(lines);
      }),
    );
  });
});

describe('a reading in brackets', () => {
  it.each<readonly [string, LanguageMode, string]>([
    ['这一行[xing2]字', 'zh', 'zhe4 yi4 xing2 zi4'],
    ['他在银行[yin1 hang1]上班', 'zh', 'ta1 zai4 yin1 hang1 shang4 ban1'],
    ['呢行[haang4]好好', 'yue', 'ni1 haang4 hou2 hou2'],
    ['We live[L AY1 V] here now', 'en', 'W IY1 L AY1 V HH IY1 R N AW1'],
  ])('is how %s is read (%s)', async (text, language, reading) => {
    expect(await spoken(text, language)).toBe(reading);
  });

  it('in kana is how a Japanese word is read', async () => {
    const text = 'この橋[タワシ]を渡る';
    expect(await spoken(text, 'ja')).toContain('タワシ');
    expect(await spoken(text.replace('[タワシ]', ''), 'ja')).not.toContain('タワシ');
    expect(await spoken('行[ハシ]く', 'auto')).toContain('ハシ');
  });

  it('is only text where it is no reading', async () => {
    const items = await readAll('见图[a]和表[12]，数组[xyz3]', { language: 'zh', method: 'cut0' });
    expect(items.map((item) => item.type === 'text' && item.text.text)).toEqual(['见图[a]和表[12]，数组[xyz3]。']);
  });
});

describe('parseReading', () => {
  it.each([
    ['pinyin', 'lüe4 nǚ hang2 de', 'lve4 nv3 hang2 de5'],
    ['ipa', '/ˈhɛləʊ/', 'HH EH1 L OW0'],
    ['ipa', 'ˌɪntəˈnæʃnəl', 'IH2 N T AH0 N AE1 SH N AH0 L'],
    ['ipa', 'tʃɜːtʃ', 'CH ER1 CH'],
    ['arpabet', 'hh eh0 l ow1', 'HH EH0 L OW1'],
    ['jyutping', 'jyut6 ping3', 'jyut6 ping3'],
  ] as const)('%s %s', async (alphabet, written, expected) => {
    const reading = await parseReading(alphabet, written);
    expect(typeof reading === 'object' && 'syllables' in reading ? reading.syllables.join(' ') : reading).toBe(
      expected,
    );
  });

  it.each([
    ['pinyin', 'hang9'],
    ['jyutping', 'xiang1'],
    ['arpabet', 'HH EH L'],
    ['ipa', 'ɬa'],
    ['hangul', 'abc'],
    ['kana', '漢字'],
    ['pinyin', ''],
  ] as const)('says what is wrong with %s %j', async (alphabet, written) => {
    expect(typeof (await parseReading(alphabet, written))).toBe('string');
  });
});
