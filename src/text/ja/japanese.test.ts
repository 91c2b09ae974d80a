import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSymbol } from '../symbols.js';
import { japanesePhonemes, normalizeJapanese } from './japanese.js';

/** Phonemes with pitch marks, without spaces between them, and `#` for UNK: `ha]shiga#a[ru`. */
function spoken(text: string): string {
  return japanesePhonemes(text).phonemes.join('').replaceAll('UNK', '#');
}

/** What the words of a text sound like: ゴ/1フン. */
function read(text: string): string {
  return japanesePhonemes(text)
    .units.map((unit) => unit.reading.replace(/\/\d+$/, ''))
    .join('');
}

describe('Japanese accents', () => {
  it.each([
    ['箸', 'ha]shi', 'a fall after the first mora'],
    ['橋が', 'ha[shi]ga', 'a fall before the particle'],
    ['端が', 'ha[shiga', 'no fall'],
    ['東京都', 'to[okyoo]to', 'a compound'],
    ['食べます', 'ta[bema]su', 'an auxiliary moves the accent'],
    ['お電話番号', 'o[deNwabaNgo]o', 'a prefix'],
    ['静かに話す', 'shi]zukani#ha[na]su', 'two phrases'],
    ['田中さん', 'ta[nakasaN', 'a suffix'],
    ['とても高い', 'to[temo#ta[ka]i', 'an adverb stands alone'],
    ['食べやすい', 'ta[beyasu]i', 'an adjective that depends on a verb'],
    ['ありがとうございました', 'a[ri]gatoo#go[zaima]shita', 'an entry of two phrases'],
    ['行こう', 'i[koo', 'う lengthens'],
    ['ちょっと待って', 'cho]clto#ma]clte', 'double consonants'],
    ['新幹線', 'shi[Nka]NseN', 'N'],
    ['キャッチ', 'kya]clchi', 'kana on their own'],
    ['ヴァイオリン', 'ba[ioriN', 'a foreign sound in the dictionary'],
  ])('of %s are %s (%s)', (text, expected) => {
    expect(spoken(text)).toBe(expected);
  });
});

describe('Japanese readings', () => {
  it.each([
    ['三百八本', 'サンビャクハッポン'],
    ['6本、8匹、10軒、3階', 'ロッポンハッピキジュッケンサンガイ'],
    ['4時7分', 'ヨジナナフン'],
    ['4月1日、1日、2日間、14日、20日、24日', 'シガツツイタチイチニチフツカカンジューヨッカハツカニジューヨッカ'],
    ['1人、2人、4人、7人', 'ヒトリフタリヨニンシチニン'],
    ['一桁、2桁', 'ヒトケタフタケタ'],
    ['1985年', 'センキューヒャクハチジューゴネン'],
    ['10000円と１２３４万円', 'イチマンエントセンニヒャクサンジューヨンマンエン'],
    ['3.14と0.5', 'サンテンイチヨントレーテンゴ'],
    ['1億2000万', 'イチオクニセンマン'],
    ['AIとUSB', 'エーアイトユーエスビー'],
    ['今日は大人気の上手な人', 'キョーワダイニンキノジョーズナヒト'],
    ['二〇二四年', 'ニセンニジューヨネン'],
    ['○○さん', 'マルマルサン'],
    ['ｱﾊﾟｰﾄ', 'アパート'],
    ['主殿', 'アルジドノ'],
  ])('of %s are %s', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  it('spell what is not an amount', () => {
    expect(read('電話は03-1234-5678です')).toBe('デンワワゼロサンノイチニーサンヨンノゴーロクナナハチデス');
    expect(read('番号は0123-4567-89')).toBe('バンゴーワゼロイチニーサンノヨンゴーロクナナノハチキュー');
    expect(read('会員番号12345')).toBe('カイインバンゴーイチニーサンヨンゴー');
    expect(read('ISBN978-4-00-310101-8')).toBe(
      'アイエスビーエヌキューナナハチノヨンノゼロゼロノサンイチゼロイチゼロイチノハチ',
    );
  });
});

describe('Japanese normalisation', () => {
  it.each([
    ['2024-05-20', '2024年5月20日'],
    ['2024/5/20', '2024年5月20日'],
    ['5/20と3/4', '5月20日と4ブンの3'],
    ['14:30、9:05:10、0:15', '14時30分、9時5分10秒、零時15分'],
    ['2:30 PM', '午後2時30分'],
    ['3:2で', '3対2で'],
    ['3-2で勝った', '3対2で勝った'],
    ['¥1,500、$50、€30、￥100万', '1500円、50ドル、30ユーロ、100万円'],
    ['-5.5℃', 'マイナス5．5度'],
    ['20~25℃', '20から25度'],
    ['3〜5日', '3日から5日'],
    ['10-20人', '10から20人'],
    ['60km/hで250 mL', '60キロメートル毎時で250ミリリットル'],
    ['燃費は15.3km/L', '燃費は15．3キロメートル毎リットル'],
    ['スコアは21-19', 'スコアは21対19'],
    ['15.3％と10%', '15．3パーセントと10パーセント'],
    ['1,234,567円', '1234567円'],
    ['v1.2.3', 'v1ドット2ドット3'],
    ['千代田区1-2-3', '千代田区1の2の3'],
    ['〒100-0001', '郵便番号100の0001'],
    ['taro@example.co.jp', 'taroアットマークexampleドットcoドットjp'],
    ['https://example.com/a', 'exampleドットコムスラッシュa'],
    ['2+3=5', '2たす3は5'],
    ['㈱テスト、５㎏', '株式会社テスト、5キログラム'],
    ['①②', '1、2'],
    ['すごい😀🎉！', 'すごい！'],
    ['そうだね〜', 'そうだねー'],
    ['A&B', 'AアンドB'],
    ['GPT-4', 'GPT-4'],
    ['えっ……', 'えっ…'],
    ['10月10日(木)に', '10月10日木曜日に'],
    ['血圧は135/85mmHg', '血圧は135の85ミリメートルエイチジー'],
    ['126mg/dL以上', '126ミリグラムパーデシリットル以上'],
    ['渋谷ヒカリエ8F', '渋谷ヒカリエ8階'],
    ['打率.310で', '打率3割1ぶで'],
    ['72回/分', '72回毎分'],
    ['辛い料理で辛い思い', 'からい料理で辛い思い'],
    ['生野菜と生ビール', 'なま野菜と生ビール'],
    ['空の箱と空の色', 'からの箱と空の色'],
    ['十分に十分もかからない', '十分に10分もかからない'],
    ['100m走で走る', '100メートルソーで走る'],
  ])('reads %s as %s', (text, expected) => {
    expect(normalizeJapanese(text)).toBe(expected);
  });
});

describe('Japanese phonemes', () => {
  it('are UNK where the table has no symbol, as the models were trained', () => {
    expect(japanesePhonemes('「はい」！').phonemes).toEqual(['UNK', 'h', 'a', ']', 'i', 'UNK', '!']);
    expect(japanesePhonemes('はい！', { symbols: 'v1' }).phonemes).toEqual(['h', 'a', 'UNK', 'i', '!']);
  });

  it('know where in the text they came from', () => {
    const { units, phonemes } = japanesePhonemes('値段は¥1,500です。');
    expect(units.reduce((sum, unit) => sum + unit.phonemeCount, 0)).toBe(phonemes.length);
    expect(units.map(({ text, start, end }) => [text, start, end])).toEqual([
      ['値段', 0, 2],
      ['は', 2, 3],
      ['1', 3, 9],
      ['5', 3, 9],
      ['5', 3, 9],
      ['円', 3, 9],
      ['です', 9, 11],
      ['。', 11, 12],
    ]);
  });

  it('follow readings that were decided outside, accents included', () => {
    const fixed = (start: number, end: number, kana: string) =>
      ({ start, end, language: 'ja', reading: [kana], rule: 'lexicon names, line 1' }) as const;
    const { phonemes, units, normalizedText } = japanesePhonemes('渋谷の東京店が1,000円。', {
      readings: [fixed(0, 2, 'シ↓ブヤ'), fixed(3, 6, 'とうきょうてん')],
    });
    expect(phonemes.join('')).toBe('shi]buyanoUNKto[okyooteNgaUNKse[N]eN.');
    expect(units[0]).toMatchObject({
      text: '渋谷',
      start: 0,
      end: 2,
      rule: 'lexicon names, line 1',
      reading: 'シブヤ/1',
    });
    expect(units.at(-2)).toMatchObject({ text: '円', start: 12, end: 13 });
    expect(normalizedText).toBe('渋谷の東京店が1000円。');
  });

  it('come for any text, and their units cover them', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(fc.constantFrom(...'日月年人一十百〇3０8.,:-/~〜%円はがっーンゃヴヮAｚ。、！😀々・'.split('')), {
          maxLength: 60,
        })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        const { phonemes, units } = japanesePhonemes(input);
        expect(units.reduce((sum, unit) => sum + unit.phonemeCount, 0)).toBe(phonemes.length);
        for (const { start, end } of units) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(end).toBeLessThanOrEqual(input.length);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('are those of the v2 table wherever kana and Han characters are read', () => {
    for (const phoneme of japanesePhonemes('きゃりーぱみゅぱみゅとティラミスとフォークとツァーリとウェブ').phonemes) {
      expect(phoneme === 'UNK' || isSymbol(phoneme, 'v2'), phoneme).toBe(true);
    }
  });

  it('take time in proportion to the length of a text, whatever it is made of', () => {
    for (const part of ['3〜', '1,', '0-', 'a.', 'の', '一', '日本', 'ー', '12:', '^・', '😀', '1.2']) {
      const before = process.cpuUsage();
      japanesePhonemes(part.repeat(2_000));
      const { user } = process.cpuUsage(before);
      // Linear: under half a second of processor time. Quadratic patterns and lattices take many times this bound.
      expect(user / 1e6, part).toBeLessThan(6);
    }
  }, 120_000);
});
