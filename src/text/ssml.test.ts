import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { readText, type SpeechItem, textToPhonemes } from './frontend.js';
import type { LanguageMode } from './language.js';
import { SAY_AS, sayAs } from './say-as.js';

async function readAll(...[text, options]: Parameters<typeof readText>): Promise<SpeechItem[]> {
  const items: SpeechItem[] = [];
  for await (const item of readText(text, options)) items.push(item);
  return items;
}

function read(body: string, language: LanguageMode = 'auto') {
  return readAll(`<speak>${body}</speak>`, { inputType: 'ssml', language, method: 'sentence', symbols: 'v2' });
}

/** The items of a document in short: texts, breaks in milliseconds, marks. */
async function outline(body: string, language: LanguageMode = 'auto'): Promise<(string | number)[]> {
  return (await read(body, language)).map((item) =>
    item.type === 'text' ? item.text.text : item.type === 'break' ? item.durationMs : `#${item.name}`,
  );
}

async function readingsOf(body: string, language: LanguageMode = 'auto'): Promise<string> {
  const said: string[] = [];
  for (const item of await read(body, language)) {
    if (item.type !== 'text') continue;
    const sentence = await textToPhonemes(item.text, {
      language: item.delivery.language,
      symbols: 'v2',
      readings: item.readings,
    });
    for (const { reading } of sentence.units) if (reading !== '') said.push(reading);
  }
  return said.join(' ');
}

describe('SSML', () => {
  it('makes sentences, paragraphs, breaks and marks of a document', async () => {
    const body =
      '<p><s>今天天气很好</s><s>我们去公园。</s></p>到了<mark name="there"/>那里<break time="1.5s"/>再说<break/>吧，好不好';
    expect(await outline(body)).toEqual([
      '今天天气很好。',
      '我们去公园。',
      400,
      '。到了，',
      '#there',
      '。那里，',
      1500,
      '。再说，',
      750,
      '。吧，好不好。',
    ]);
  });

  it('keeps offsets of the document, through entities and substitutes', async () => {
    const document = '<speak>A &amp; B &lt;3 <sub alias="World Wide Web Consortium">W3C</sub> 再见</speak>';
    const [item] = await readAll(document, { inputType: 'ssml', language: 'auto', method: 'cut0', symbols: 'v2' });
    if (item?.type !== 'text') throw new Error('expected text');
    const { units } = await textToPhonemes(item.text, { language: 'auto', symbols: 'v2' });
    const written = (text: string) => {
      const unit = units.find((candidate) => candidate.text === text);
      return unit && document.slice(unit.start, unit.end);
    };
    expect(written('three')).toBe('3');
    expect(written('Consortium')).toBe('W3C');
    expect(written('见')).toBe('见');
  });

  it('says how a stretch is to be said, added up from outside to inside', async () => {
    const items = await read(
      '慢<prosody rate="80%" volume="-6dB" pitch="+2st">一点说<emphasis level="strong">这个</emphasis></prosody>' +
        '<voice name="bob"><mstts:express-as style="cheerful">好啊</mstts:express-as></voice><lang xml:lang="en-US">Hello</lang>',
    );
    const deliveries = items.map((item) => item.type === 'text' && [item.text.text, item.delivery, item.continues]);
    const base = { language: 'auto', rate: 1, volumeDb: 0, pitchSemitones: 0, voice: null, style: null };
    const slow = { ...base, rate: 0.8, volumeDb: -6, pitchSemitones: 2 };
    expect(deliveries).toEqual([
      ['。慢，', base, true],
      ['。一点说，', slow, true],
      ['。这个，', { ...slow, rate: expect.closeTo(0.704), volumeDb: -3 }, true],
      ['。好啊，', { ...base, voice: 'bob', style: 'cheerful' }, true],
      ['Hello.', { ...base, language: 'en' }, false],
    ]);
  });

  it.each([
    ['<prosody rate="fast">嗯哼哼哼</prosody>', { rate: 1.25 }],
    ['<prosody rate="+20%">嗯哼哼哼</prosody>', { rate: 1.2 }],
    ['<prosody rate="1.5">嗯哼哼哼</prosody>', { rate: 1.5 }],
    ['<prosody volume="silent">嗯哼哼哼</prosody>', { volumeDb: -Infinity }],
    ['<prosody volume="50">嗯哼哼哼</prosody>', { volumeDb: expect.closeTo(-6.02, 2) }],
    ['<prosody pitch="x-low">嗯哼哼哼</prosody>', { pitchSemitones: -6 }],
    ['<prosody pitch="+100%">嗯哼哼哼</prosody>', { pitchSemitones: 12 }],
  ])('understands %s', async (body, delivery) => {
    const [item] = await read(body);
    expect(item).toMatchObject({ delivery });
  });

  it.each<readonly [string, string, LanguageMode]>([
    ['<phoneme alphabet="x-pinyin" ph="hang2">行</phoneme>不行', 'hang2 bu5 xing2', 'zh'],
    ['<phoneme alphabet="sapi" ph="hang 2">行</phoneme>不行', 'hang2 bu5 xing2', 'zh'],
    ['I say <phoneme alphabet="ipa" ph="təˈmɑːtəʊ">tomato</phoneme>', 'AY1 S EY1 T AH0 M AA1 T OW0', 'en'],
    ['<phoneme alphabet="jyutping" ph="hong4">行</phoneme>', 'hong4', 'yue'],
    ['尾号<say-as interpret-as="digits">1024</say-as>', 'wei3 hao4 yi1 ling2 er4 si4', 'zh'],
    ['拨打<say-as interpret-as="telephone">10086</say-as>', 'bo1 da3 yao1 ling2 ling2 ba1 liu4', 'zh'],
    [
      '生于<say-as interpret-as="date" format="dmy">20-5-1999</say-as>',
      'sheng1 yu2 yi1 jiu3 jiu3 jiu3 nian2 wu3 yue4 er4 shi2 ri4',
      'zh',
    ],
    ['第<say-as interpret-as="cardinal">2024</say-as>名', 'di4 er4 qian1 ling2 er4 shi2 si4 ming2', 'zh'],
    [
      'on <say-as interpret-as="date" format="mdy">5/6/2024</say-as>',
      'AA1 N M EY1 S IH1 K S TH T W EH1 N T IY0 T W EH1 N T IY0 F AO2 R',
      'en',
    ],
  ])('reads %s as %s', async (body, expected, language) => {
    expect(await readingsOf(body, language)).toBe(expected);
  });

  it.each([
    ['<speak>好', 'line 1, column 1: <speak> is never closed'],
    ['<speak>\n  <p>好</speak>', 'line 2, column 7: </speak> ends nothing: expected </p>'],
    ['<!DOCTYPE speak [<!ENTITY x "y">]><speak>&x;</speak>', 'line 1, column 1: document types'],
    ['<speak>&x;</speak>', 'line 1, column 8: unknown entity "&x;"'],
    ['<speak>A & B</speak>', 'line 1, column 10: "&" begins an entity'],
    ['<speak>&#0;</speak>', 'is not a character'],
    ['<speak><?php ?></speak>', 'processing instructions'],
    ['<speak><script>1</script></speak>', '<script> is not read'],
    ['<speak><break time="1h"/></speak>', 'the time "1h" is not a duration'],
    ['<speak><break time="11s"/></speak>', 'at most 10000 ms'],
    ['<speak><prosody rate="quick">好</prosody></speak>', 'rate="quick" is not known; expected x-slow, slow'],
    ['<speak><sub>好</sub></speak>', '<sub> needs the attribute alias'],
    ['<speak><phoneme alphabet="ipa" ph="ɬ">x</phoneme></speak>', 'cannot be read'],
    ['<speak><phoneme alphabet="klingon" ph="x">x</phoneme></speak>', 'alphabet "klingon" is not known'],
    ['<speak a="1" a="2">好</speak>', 'two attributes a'],
    ['<speak a=1>好</speak>', 'must stand in quotation marks'],
    ['<speak a="<">好</speak>', 'line 1, column 11'],
    ['<speak/><speak/>', 'only one element may stand at the top'],
    ['plain text', 'text stands outside <speak>'],
    ['<p>好</p>', 'expected <speak> instead of <p>'],
    [`<speak>${'<p>'.repeat(30)}好${'</p>'.repeat(30)}</speak>`, 'nested more than 24 deep'],
    [`<speak>${'<lang xml:lang="fr">bonjour</lang>'}</speak>`, 'the language "fr" is not spoken'],
  ])('refuses %s: %s', async (document, message) => {
    const refused = readAll(document, { inputType: 'ssml', language: 'auto', method: 'sentence' });
    await expect(refused).rejects.toMatchObject({ code: 'SSML_INVALID', message: expect.stringContaining(message) });
  });

  it.each([
    ['', 'TEXT_EMPTY'],
    ['<speak/>', 'TEXT_EMPTY'],
    ['<speak>。<break/>！</speak>', 'TEXT_UNREADABLE'],
    ['<speak><lang xml:lang="en">你好</lang></speak>', 'LANGUAGE_UNSUPPORTED'],
  ])('answers %j with %s', async (document, code) => {
    await expect(readAll(document, { inputType: 'ssml', language: 'auto', method: 'sentence' })).rejects.toMatchObject({
      code,
    });
  });

  it('never fails otherwise, on any document', async () => {
    const names = [
      'speak',
      'p',
      's',
      'prosody',
      'say-as',
      'sub',
      'phoneme',
      'mark',
      'break',
      'emphasis',
      'voice',
      'lang',
      'x',
    ];
    const piece = fc.oneof(
      fc.constantFrom(
        '<',
        '>',
        '/',
        '&',
        '"',
        '<!--',
        '-->',
        ']]>',
        '<![CDATA[',
        '&amp;',
        '&#x4e00;',
        '=',
        ' ',
        '\n',
        '\ud800',
      ),
      fc.constantFrom(...names.flatMap((name) => [`<${name}>`, `</${name}>`, `<${name}/>`])),
      fc.constantFrom(
        '<break time="5ms"/>',
        '<mark name="a"/>',
        '<say-as interpret-as="date">',
        '<sub alias="b">',
        '<emphasis level="none">',
      ),
      fc.constantFrom('你好', 'Hello 3.5', '2024-05-20', '！', '한국'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (pieces) => {
        try {
          await read(pieces.join(''));
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(['SSML_INVALID', 'TEXT_EMPTY', 'TEXT_UNREADABLE', 'LANGUAGE_UNSUPPORTED']).toContain(error.code);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('sayAs', () => {
  it('never fails, whatever is to be said as what', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc
        .array(fc.constantFrom('1', '2024', '/', '-', ':', '.', 'A', 'b', ' ', '+86', '５', '二', 'ab'), {
          maxLength: 8,
        })
        .map((p) => p.join('')),
    );
    const language = fc.constantFrom('zh', 'en', 'ja', 'ko', 'yue');
    const format = fc.constantFrom('', 'ymd', 'dmy', 'my', 'hms12', 'xyz', 'yyy');
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.constantFrom(...SAY_AS, 'nonsense'),
        format,
        language,
        async (written, how, form, spoken) => {
          expect(typeof (await sayAs(written, how, form, spoken as 'zh'))).toBe('string');
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    ['AB-12', 'characters', 'en', 'A B dash one two'],
    ['1234', 'ordinal', 'en', 'one thousand two hundred and thirty-fourth'],
    ['3/4', 'fraction', 'zh', '四分之三'],
    ['3:05', 'time', 'zh', '3点5分'],
    ['fuck', 'expletive', 'en', 'beep'],
    ['-1,234.5', 'cardinal', 'zh', '负一千二百三十四点五'],
    ['3', 'ordinal', 'ko', '세 번째'],
    ['2024-05-20', 'date', 'ko', '2024년 5월 20일'],
    ['14:30', 'time', 'ja', '14時30分'],
    ['3/4', 'fraction', 'ja', '4分の3'],
    ['99/13/2024', 'date', 'zh', '99/13/2024'],
  ] as const)('%s as %s in %s: %s', async (text, how, language, expected) => {
    expect(await sayAs(text, how, '', language)).toBe(expected);
  });
});
