/**
 * What the reference reads wrongly in a Korean text and we read right on purpose, or null. A golden row of such a text is
 * no measure of parity. The patterns describe the reference's mistakes (g2pk2's), not our rules.
 */
export function koreanImprovement(text: string): string | null {
  const jamo = text.normalize('NFD');
  for (const [item, pattern] of SOUNDS) if (pattern.test(jamo)) return item;
  if (WORDS.test(text)) return 'compound or letters of a message';
  if (/\d/.test(text)) for (const [item, pattern] of NUMBERS) if (pattern.test(text)) return item;
  return null;
}

/** On conjoining jamo: U+1100 onsets, U+1161 vowels, U+11A8 codas. */
const SOUNDS: readonly (readonly [string, RegExp])[] = [
  // 늦어 [느서], 끝에 [끄세], 무릎이 [무르비]: its rule for the names of letters takes every syllable with ㅡ.
  ['coda after ㅡ taken for the name of a letter', /\u1173[\u11ae\u11bd-\u11c2]\u110b/],
  // 여덟 명 [여덤 명], 짧네 [짬네]
  ['ㄼ before a nasal', /(?<!\u1107\u1161)\u11b2 ?[\u1102\u1106]/],
  ['밟- before a vowel', /\u1107\u1161\u11b2\u110b/],
  // 닫혀 [다텨]
  ['ㄷ before 혀', /\u11ae\u1112\u1167/],
  // 를 라면 [를 나면]: it undoes a lateral that was never made.
  ['ㄹ after the particle 를', /[\u110b\u1105]\u1173\u11af \u1105/],
];

/** Compounds that its table lacks: 한여름 [한녀름], 맛없다 [마덥따], 물고기 [물꼬기]. */
const WORDS = /한여름|[맛멋]없|첫인|첫아|헛웃|물고기|손등|(?:판단|표현|추진|실천)력|음운론|[ㅋㅎㅠㅜ]/;

const NUMBERS: readonly (readonly [string, RegExp])[] = [
  ['telephone number', /(?<!\d)(?:0\d{1,3}|1[5-9]\d\d)-\d{3,4}/],
  ['decimal point', /\d\.\d/],
  ['clock time, score, fraction or range', /\d\s?[:/~～]\s?\d|\d-\d/],
  ['number below zero', /(?<![\d가-힣A-Za-z])[-−]\d/],
  ['unit or sign', /\d\s?[A-Za-z℃°㎡㎏㎞㎝㎜]|[₩$€£¥]\s?\d/],
  // 2번 출구 is number two, not the second time.
  ['번 of a label', /\d번(?:을|은|이|과|의|으로|\s?(?:출구|버스|문제|게이트|창구|버튼|선수|채널|항목))/],
  ['6월', /(?<!\d)0?6월/],
  ['hours of the 24-hour clock', /(?<!\d)(?:1[3-9]|2[0-4]|0)시(?!간)/],
  // Counters of native numerals that it reads in Sino-Korean: 3명 [삼명], 4잔 [사잔].
  [
    'counter of native numerals',
    /(?<!\d)\d{1,2}\s?(?:명|시간|잔|병|가지|사람|달|곳|장|줄|칸|끼|컵|곡|번째|송이|바퀴|그릇|상자|포기|봉지|조각|걸음|쌍)/,
  ],
  // Without a bound noun behind it, it reads a number digit by digit: 63층 [육삼층].
  [
    'number without a bound noun',
    /\d{2,}(?![\d,.]|\s?%|[년월일시분초원개명번살대도회권세주인호차]|미터|퍼센트|킬로|센티|달러|그램|리터|시간|개월|마리)/,
  ],
  ['number without a bound noun', /\d(?:,\d{3})+(?![\d,]|[년월일원개명번도회권인대]|미터|퍼센트|킬로|달러)/],
  ['20 in a larger number', /[1-9]20[개살대마권]/],
  ['대 of an age', /[1-9]0대(?:\s?[남여초중후청]|[의는가를에])/],
  ['만, 천 and 백 after 1', /(?<!\d)1[만천백]/],
];
