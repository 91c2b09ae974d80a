import type { SourceText } from '../source-text.js';

/**
 * Words written alike whose reading their neighbours tell, put in kana before the analyser sees them: its dictionary has
 * a cost for each reading, and none for what the word stands beside. Each pattern is bounded.
 */
export function tellHomographs(text: SourceText): SourceText {
  if (!/[辛空十生人前走]/.test(text.text)) return text;
  return RULES.reduce((told, [pattern, kana]) => told.replace(pattern, kana), text);
}

const DISH =
  '料理|食べ物|もの|物|カレー|ラーメン|ソース|スープ|鍋|味|キムチ|麻婆|スナック|お菓子|唐辛子|わさび|大根|の(?=[がは](?:好き|苦手|得意|大丈夫|平気))';

const RULES: readonly (readonly [RegExp, string])[] = [
  // a taste, not a hardship
  [new RegExp(`辛(?=[いく](?:て(?:美味し|おいし))?(?:${DISH}))`, 'g'), 'から'],
  [
    /(?<=(?:料理|カレー|ラーメン|ソース|スープ|キムチ|麻婆豆腐|味|わさび)[はがも](?:とても|すごく|少し|ちょっと|かなり)?)辛(?=[いくか])/g,
    'から',
  ],
  // empty, not the sky
  [
    /空(?=の(?:箱|瓶|ビン|容器|皿|コップ|グラス|袋|缶|カップ|ペットボトル|財布|部屋|リスト|配列|文字列|ファイル|フォルダ))/g,
    'から',
  ],
  // ten minutes, not enough
  [
    /(?<![二三四五六七八九百千数])十分(?=も(?:かから|たた|し)|間|後|前(?![にの])|ほど|以内|くらい|ぐらい|待|歩|遅|かか|おき|ごと)/g,
    '10分',
  ],
  [/生(?=野菜|魚|肉|卵|クリーム|ハム|ごみ|ゴミ|チョコ|春巻|牡蠣|わかめ|しらす|パスタ)/g, 'なま'],
  // a trace of people, not their favour
  [/人気(?=の(?:ない|無い)(?:道|場所|公園|夜|通り|山|森|海|浜|路地|部屋|廊下|所|駅))/g, 'ひとけ'],
  [/(?<=[公駅店館校社園])前(?=に?集合)/g, 'まえ'],
  [/(?<=メートル)走(?![らりるれろっ])/g, 'ソー'],
];
