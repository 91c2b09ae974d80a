/**
 * How numbers sound with one another and with what they count. The tables are Open JTalk's (njd_set_digit_rule,
 * BSD-3-Clause), which the models learnt from; written here as one line a class.
 */

const list = (text: string): readonly string[] => text.trim().split(/\s+/);
const set = (text: string): ReadonlySet<string> => new Set(list(text));

/** A numeral in front of a counter: its pronunciation there, accent and morae. */
export type NumeralSound = readonly [pronunciation: string, accent: number, morae: number];

const FOUR = { 四: ['ヨ', 0, 1] } as const;
const SEVEN = { 七: ['シチ', 1, 2] } as const;
const NINE = { 九: ['ク', 0, 1] } as const;
const ONE_SHORT = { 一: ['イッ', 1, 2] } as const;
const SIX_SHORT = { 六: ['ロッ', 1, 2] } as const;
const EIGHT_SHORT = { 八: ['ハッ', 1, 2] } as const;
const TEN_SHORT = { 十: ['ジュッ', 1, 2] } as const;
const HUNDRED_SHORT = { 百: ['ヒャッ', 1, 2] } as const;

/** Counters, and how numerals sound before them; the first class that holds a counter counts. */
export const NUMERALS_BEFORE: readonly (readonly [ReadonlySet<string>, Readonly<Record<string, NumeralSound>>])[] = [
  [set('年 円 年間 年生 年代 年度 年版 年余 年来 えん'), FOUR],
  [set('人 人月 人前 人組'), { ...FOUR, ...SEVEN }],
  [set('時 時間 時限 時半'), { ...FOUR, ...SEVEN, ...NINE }],
  [set('日 日間'), { ...SEVEN, ...NINE }],
  [set('月'), { 四: ['シ', 0, 1], ...SEVEN, ...NINE }],
  [
    set(`個 階 分 発 本 鉢 口 切れ 箱 か月 か国 か所 か条 か村 か年 カ月 カ国 カ寺 カ所 カ条 カ村 カ店 カ年 ケ月 ケ国
      ケ所 ケ条 ケ村 ケ年 ヵ月 ヵ国 ヵ所 ヵ条 ヵ村 ヵ年 ヶ月 ヶ国 ヶ所 ヶ条 ヶ村 ヶ年 個月 個口 個国 個条 個年 箇月 箇国
      箇所 箇条 箇年 かけ くだり けた 価 課 画 回 回忌 回生 回戦 回線 回分 海里 カイリ 浬 角 株 冠 巻 缶 貫 貫目 間 基 期
      期生 機 気圧 季 騎 客 脚 球 級 橋 局 曲 極 重ね 斤 金 句 区 躯 計 桁 ケタ 校 港 項 組 件 軒 言 戸 湖 光年 石 ぴき
      ぺん 波 派 敗 杯 拍 泊 版 犯 班 匹 疋 筆 俵 票 品 分間 分目 片 篇 編 辺 遍 歩 報 方 法 本立て 頭身`),
    { ...ONE_SHORT, ...SIX_SHORT, ...EIGHT_SHORT, ...TEN_SHORT, ...HUNDRED_SHORT },
  ],
  [
    set(`． ・ 才 頭 着 足 尺 坪 通り センチ シーシー ＣＣ ｃｃ ｃｍ サイクル サンチーム シーズン シート シリング
      シンガポールドル スイスフラン スウェーデンクローネ スクレ セット セント ソル ゾーン 糎 竿 差 差し 歳 歳児 作 冊 刷 皿
      棹 艘 子 視 式 失 室 射 社 勺 種 首 周 周忌 周年 州 週 週間 集 宿 所 勝 升 床 章 色 食 親等 進 進数 品 すじ そう
      そろい 筋 数 寸 世 隻 席 石 節 戦 線 選 銭 層 相 揃 たび つかみ つがい つぶ つまみ つ折 つ折り とおり とき ところ とせ
      玉 月 手 束 続き 体 対 卓 樽 反 丁 丁目 鳥 通 掴み 艇 滴 店 転 点 斗 棟 盗 灯 等 等席 等地 等分 答 得 噸 粒 種類
      歳馬 世紀 車種`),
    { ...ONE_SHORT, ...EIGHT_SHORT, ...TEN_SHORT },
  ],
  [
    set(`キロ カロリー ｃａｌ ｋｂ ｋｇ ｋｌ ｋｍ ｋｔ ｋｗ ｋグラム ｋバイト ｋヘルツ ｋメートル ｋリットル ｋワット
      カナダドル カラット ガロン キュリー キロカロリー キログラム キロトン キロバイト キロヘルツ キロメートル キロリットル
      キロワット キロワット時 クラス クローナ クローネ グァラニ ケース コース 粁`),
    { ...SIX_SHORT, ...TEN_SHORT, ...HUNDRED_SHORT },
  ],
  [set('トン ｔ タル テラ トライ'), { ...ONE_SHORT, ...TEN_SHORT }],
  [
    set(`房 柱 ％ ポンド ｐａ ｐｐｍ パーセント パーミル パスカル パック パット ピーピーエム ピコ ページ 頁 ペア ペセタ
      ペソ ペニー ペニヒ ペンス ポイント 振り 針 袋 張り 平米 平方キロ 平方キロメートル 平方センチメートル 平方メートル 品目`),
    TEN_SHORT,
  ],
];

/** Numerals after which a counter's h becomes p (in `p`), or its unvoiced consonant voiced (in `voiced`). */
export interface CounterChange {
  readonly counters: ReadonlySet<string>;
  readonly p: string;
  readonly voiced: string;
}

export const COUNTERS_AFTER: readonly CounterChange[] = [
  {
    counters: set('分 版 敗 発 拍 鉢 波 派 泊 犯 班 品 分間 分目 片 篇 編 辺 遍 歩 報 方'),
    p: '一三四六八十百千万何',
    voiced: '',
  },
  { counters: set('本 匹 疋 票 俵 箱 本立て 杯 針 柱'), p: '一六八十百', voiced: '三千万何' },
  { counters: set('軒 石 足 尺 かけ 重ね 件 勺'), p: '', voiced: '三千万' },
  { counters: set('階'), p: '', voiced: '三' },
];
export const HUNDREDS_AND_THOUSANDS: CounterChange = { counters: set('百 千'), p: '六八', voiced: '三何' };

/** Numerals before 百, and before 千 and 兆, inside a number. */
export const NUMERALS_BEFORE_PLACE: readonly (readonly [
  ReadonlySet<string>,
  Readonly<Record<string, NumeralSound>>,
])[] = [
  [set('百'), { 六: ['ロッ', 0, 2], 八: ['ハッ', 0, 2] }],
  [set('千 兆'), { 一: ['イッ', 0, 2], 八: ['ハッ', 0, 2], 十: ['ジュッ', 1, 2] }],
];

export const VOICED: Readonly<Record<string, string>> = Object.fromEntries(
  [...'カキクケコサシスセソタチツテトハヒフヘホ'].map((kana, i) => [
    kana,
    'ガギグゲゴザジズゼゾダヂヅデドバビブベボ'.charAt(i),
  ]),
);
export const WITH_P: Readonly<Record<string, string>> = Object.fromEntries(
  [...'ハヒフヘホ'].map((kana, i) => [kana, 'パピプペポ'.charAt(i)]),
);

/** Counters with one and two in native numerals, if the dictionary reads them so (Word.native). */
export const NATIVE_COUNTERS = set(`棟 かけ くだり けた すじ そろい たび つかみ つがい つまみ とおり ところ とせ まわり
  シーズン セット 握り 回り 株 竿 筋 桁 ケタ 月 言 口 差し 皿 山 勺 尺 重ね 振り 針 切れ 束 続き 揃 袋 柱 張り 通り 掴み
  坪 箱 鉢 晩 品 瓶 分け 幕 夜 粒 枠 棹 つ折 つ折り つぶ とき`);
export const NATIVE_NUMERALS: Readonly<Record<string, NumeralSound>> = { 一: ['ヒト', 0, 2], 二: ['フタ', 0, 2] };

/** Numerals that become a word of their own with the counter behind them. */
export const PEOPLE: Readonly<Record<string, NumeralSound>> = { 一: ['ヒトリ', 2, 3], 二: ['フタリ', 3, 3] };
export const DAYS: Readonly<Record<string, NumeralSound>> = {
  一: ['イチニチ', 4, 4],
  二: ['フツカ', 0, 3],
  三: ['ミッカ', 0, 3],
  四: ['ヨッカ', 0, 3],
  五: ['イツカ', 0, 3],
  六: ['ムイカ', 0, 3],
  七: ['ナノカ', 0, 3],
  八: ['ヨーカ', 0, 3],
  九: ['ココノカ', 0, 4],
  十: ['トーカ', 0, 3],
};
export const DAYS_LONG: Readonly<Record<string, NumeralSound>> = Object.fromEntries(
  Object.entries(DAYS).map(([numeral, [days, , morae]]) => [
    numeral,
    [`${days}カン`, numeral === '一' || numeral === '九' ? 4 : 3, morae + 2],
  ]),
);

/** The figures of numbers written in any way, as the numeral they stand for. */
export const FIGURES: ReadonlyMap<string, string> = new Map([
  ...[...'一二三四五六七八九〇'].map((figure) => [figure, figure] as const),
  ...[...'１２３４５６７８９'].map((figure, i) => [figure, '一二三四五六七八九'.charAt(i)] as const),
  ['０', '０'],
  ['○', '〇'],
  ...list('いち一 に二 さん三 よん四 ご五 ろく六 なな七 はち八 きゅう九 壱一 弐二 貳二 ニ二 参三 し四 しち七 く九').map(
    (pair) => [pair.slice(0, -1), pair.slice(-1)] as const,
  ),
]);
/** What a figure counts for. */
export const VALUES: Readonly<Record<string, number>> = Object.fromEntries([
  ...[...'〇一二三四五六七八九'].map((figure, value) => [figure, value]),
  ['０', 0],
]);

/** Ten, hundred, thousand: [written, pronunciation, accent, morae]. */
export const SMALL_PLACES: readonly (readonly [string, ...NumeralSound])[] = [
  ['', '', 0, 0],
  ['十', 'ジュー', 1, 2],
  ['百', 'ヒャク', 2, 2],
  ['千', 'セン', 1, 2],
];
/** Powers of ten thousand. */
export const LARGE_PLACES: readonly (readonly [string, ...NumeralSound])[] = [
  ['', '', 0, 0],
  ['万', 'マン', 1, 2],
  ['億', 'オク', 1, 2],
  ['兆', 'チョー', 1, 2],
  ['京', 'ケー', 1, 2],
  ['垓', 'ガイ', 1, 2],
  ['𥝱', 'ジョ', 1, 1],
  ['穣', 'ジョー', 1, 2],
  ['溝', 'コウ', 1, 2],
  ['澗', 'カン', 1, 2],
  ['正', 'セー', 1, 2],
  ['載', 'サイ', 1, 2],
  ['極', 'ゴク', 1, 2],
  ['恒河沙', 'ゴウガシャ', 1, 4],
  ['阿僧祇', 'アソーギ', 2, 4],
  ['那由他', 'ナユタ', 1, 3],
  ['不可思議', 'フカシギ', 2, 4],
  ['無量大数', 'ムリョータイスー', 6, 7],
];
export const PLACES: ReadonlySet<string> = new Set(
  [...SMALL_PLACES, ...LARGE_PLACES].map(([written]) => written).filter((written) => written !== ''),
);
/** What multiplies a place: 三百, 何百, 数百. */
export const MULTIPLIERS: ReadonlySet<string> = new Set('一二三四五六七八九何幾数');
