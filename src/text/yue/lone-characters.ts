import type { OwnWords } from './jyutping.js';

/**
 * The reading of a character that no word of the dictionary holds, where its most usual one is not what is said: a
 * simplified character listed with the sound of a rare traditional one (价, 会, 胜), and the few that their neighbours
 * decide. Undefined leaves the dictionary's reading. `before` and `after` are the characters next to it, or empty.
 */
export function loneReading(character: string, before: string, after: string): string | undefined {
  switch (character) {
    case '請':
    case '请':
      return TREATS.test(after) ? 'ceng2' : 'cing2';
    case '為':
    case '爲':
    case '为':
      return MEASURED.test(after) ? 'wai4' : 'wai6';
    case '相':
      return PICTURED.test(before) ? 'soeng2' : undefined;
    case '只':
      return COUNTED.test(before) ? 'zek3' : undefined;
    default:
      return SIMPLIFIED.get(character);
  }
}

/** 請客, 請食飯: to treat someone; 請 is elsewhere a polite request. */
const TREATS = /[客食飲饮咗]/;
/** 為期, 為每日, 為三百: "is", where 為 is elsewhere "for". */
const MEASURED = /[每期止主例準准限零一二三四五六七八九十百千萬万兩两]/;
/** 張相, 影相: a photograph. */
const PICTURED = /[張张幅影嘅啲輯辑]/;
/** 三只, 每只, 呢只: 隻 in simplified form. */
const COUNTED = /[一二三四五六七八九十百千萬万兩两几幾數数每呢嗰邊边這这那半]/;

const SIMPLIFIED: ReadonlyMap<string, string> = new Map(
  (
    '儿ji4 样joeng6 价gaa3 断tyun5 钱cin2 会wui5 种zung2 窍hiu3 几gei2 跃joek3 胜sing3 离lei4 医ji1 涨zoeng3 岭leng5 ' +
    '划waak6 达daat6 适sik1 听teng1 扩kwong3 痒joeng5 宁ning4 柜gwai6 矿kwong3 么mo1 扑pok3 购kau3 庙miu2 档dong3 ' +
    '洼waa1 据geoi3 贼caak6 坏waai6 链lin2 鸽gaap2 厂cong2 撑caang1 蜡laap6 瘫taan2 韵wan5 赢jeng4 锯goe3 肾san6 ' +
    '腊laap6 茎ging3 袜mat6 洒saa2 渍zik1 蝎kit3 蒋zoeng2 蚝hou4 褛lau1 肮ong1 轻heng1 绳sing2 吁jyu6 柠ning2'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 1), entry.slice(1)]),
);

/** 行長, 下晝 and the like: the dictionary's longer or earlier words (星期二下, 好客) must not reach into them. */
export const OWN_WORDS: OwnWords = {
  pattern:
    /(?<![銀银步自旅舉举進进流發发航隨随飛飞])行[長长](?![期遠远者度大途短久時时])|下[晝昼]|客[氣气]|[兩两]粒|數數|数数/g,
  readings: new Map(
    '行長 hong4 zoeng2|行长 hong4 zoeng2|下晝 haa6 zau3|下昼 haa6 zau3|客氣 haak3 hei3|客气 haak3 hei3|兩粒 loeng5 nap1|两粒 loeng5 nap1|數數 sou2 sou3|数数 sou2 sou3'
      .split('|')
      .map((entry) => [entry.slice(0, 2), entry.slice(3).split(' ')]),
  ),
};
