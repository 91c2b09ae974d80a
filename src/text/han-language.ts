import { readFileSync } from 'node:fs';

/**
 * Whether Han characters are Chinese or Japanese, for modes that read both: by kana beside them, by characters that only
 * one of the two writes, and else by what surrounds them. A sentence is decided as a whole; one that mixes both is
 * decided clause by clause, and within a clause run by run.
 */

/** A stretch of Han characters and kana in a text. */
export interface HanRun {
  readonly start: number;
  readonly end: number;
}

export type HanLanguage = 'chinese' | 'japanese';

/** Decides each run of a text; the runs are in order and each is all Han (with 々) or all kana. */
export function hanLanguages(text: string, runs: readonly HanRun[]): HanLanguage[] {
  const decided: (HanLanguage | undefined)[] = runs.map(() => undefined);
  for (const sentence of groups(text, runs, SENTENCE_END)) decide(text, runs, sentence, decided);
  return decided.map((language, i) => language ?? nearest(decided, i) ?? 'chinese');
}

function decide(
  text: string,
  runs: readonly HanRun[],
  sentence: readonly number[],
  decided: (HanLanguage | undefined)[],
): void {
  const whole = evidence(text, runs, sentence);
  if (!(whole.kana && whole.chinese)) {
    const language = whole.kana || whole.japanese ? 'japanese' : whole.chinese ? 'chinese' : undefined;
    for (const i of sentence) decided[i] = whole.chinese && !whole.kana ? 'chinese' : language;
    return;
  }
  for (const clause of groups(
    text,
    sentence.map((i) => runs[i]!),
    CLAUSE_END,
  )) {
    const members = clause.map((k) => sentence[k]!);
    const { kana, chinese, japanese } = evidence(text, runs, members);
    for (const i of members) {
      const run = runs[i]!;
      const own = text.slice(run.start, run.end);
      if (KANA.test(own)) decided[i] = 'japanese';
      else if (!kana) decided[i] = chinese || !japanese ? 'chinese' : 'japanese';
      else if (!chinese) decided[i] = 'japanese';
      else {
        const next = runs[i + 1];
        const leadsToKana = next?.start === run.end && KANA.test(text.charAt(next.start));
        decided[i] = !hasChinese(own) && (leadsToKana || hasJapanese(own)) ? 'japanese' : 'chinese';
      }
    }
  }
}

interface Evidence {
  readonly kana: boolean;
  readonly chinese: boolean;
  readonly japanese: boolean;
}

function evidence(text: string, runs: readonly HanRun[], members: readonly number[]): Evidence {
  const written = members.map((i) => text.slice(runs[i]!.start, runs[i]!.end));
  return {
    kana: written.some((run) => KANA.test(run)),
    chinese: written.some(hasChinese),
    japanese: written.some(hasJapanese),
  };
}

/** Indices of the runs between one end mark and the next. */
function groups(text: string, runs: readonly HanRun[], end: RegExp): number[][] {
  const found: number[][] = [];
  runs.forEach((run, i) => {
    const before = runs[i - 1];
    if (before === undefined || end.test(text.slice(before.end, run.start))) found.push([]);
    found.at(-1)!.push(i);
  });
  return found;
}

function nearest(decided: readonly (HanLanguage | undefined)[], at: number): HanLanguage | undefined {
  for (let i = at - 1; i >= 0; i--) if (decided[i] !== undefined) return decided[i];
  for (let i = at + 1; i < decided.length; i++) if (decided[i] !== undefined) return decided[i];
  return undefined;
}

const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}ー]/u;
const SENTENCE_END = /[。！？!?．…;；\n]|\.(?!\d)/;
const CLAUSE_END = /[，,、：:“”"「」『』（）()《》\s]/;

/** Characters of both scripts that Japanese prose without kana has no use for. */
const CHINESE_PARTICLES = new Set('很吃喝麼沒怎嗎們妳咱這誰');
const CHINESE_WORDS =
  /我[是在有要不也的很想会来去叫]|[你您她]|大家[都在好快一]|都[在是有会要]|来自|不是|没有|可以|因[为為]|所以|[一这那几]个|日[语語文]里/;
/** 公司 is a 会社. */
const JAPANESE_WORDS = /会社|弊社|御社|御中|々/;

/** Whether a text has words or characters that Japanese does not. */
export function hasChinese(text: string): boolean {
  if (CHINESE_WORDS.test(text)) return true;
  return [...text].some(
    (character) => CHINESE_PARTICLES.has(character) || (HAN.test(character) && !isJapanese(character)),
  );
}

const HAN = /\p{Script=Han}/u;
/** Characters of Japanese names outside JIS X 0208, and signs that are no characters of their own. */
const OTHER_JAPANESE = new Set('髙﨑栁濵瀨彅塚德々〇〆〻');

const isJapanese = (character: string): boolean => isInTable(JIS, character) || OTHER_JAPANESE.has(character);

function hasJapanese(run: string): boolean {
  return JAPANESE_WORDS.test(run) || [...run].some((character) => isInTable(SHINJITAI, character));
}

// Tables of data/characters.bin (scripts/build-ja-characters.mjs): JIS X 0208, and what of it no Chinese encoding has.
const JIS = 0;
const SHINJITAI = 1;
const FIRST_HAN = 0x4e00;
const HAN_COUNT = 0x5200;
let tables: Uint8Array | undefined;

function isInTable(table: number, character: string): boolean {
  tables ??= readFileSync(new URL('./ja/data/characters.bin', import.meta.url));
  const index = character.charCodeAt(0) - FIRST_HAN;
  if (index < 0 || index >= HAN_COUNT) return false;
  const at = table * HAN_COUNT + index;
  return ((tables[at >> 3]! >> (at & 7)) & 1) === 1;
}
