/**
 * Bopomofo with a tone number as pinyin (`ㄒㄩㄥ2` → `xiong2`, ü as v); undefined for what is none. Pinyin in CC-CEDICT's
 * spelling (`lu:4`) is taken too: lists of readings come in either.
 */
export function pinyinOf(written: string): string | undefined {
  if (/^(?:[a-zü]|u:)+[1-5]$/.test(written)) return written.replace(/u:|ü/g, 'v');
  const parts = /^([ㄅ-ㄙ]?)([ㄚ-ㄩ]{0,2})([1-5])$/.exec(written);
  if (parts === null) return undefined;
  const [, first = '', rest = '', tone = ''] = parts;
  const initial = INITIALS['ㄅㄆㄇㄈㄉㄊㄋㄌㄍㄎㄏㄐㄑㄒㄓㄔㄕㄖㄗㄘㄙ'.indexOf(first)];
  const final = FINALS.get(rest);
  if (first === '') return final === undefined ? undefined : `${withoutInitial(final)}${tone}`;
  if (rest === '') return /^(?:[zcs]h?|r)$/.test(initial ?? '') ? `${initial}i${tone}` : undefined;
  if (initial === undefined || final === undefined) return undefined;
  const joined = SHORTENED[final] ?? final;
  return `${initial}${/^[jqx]$/.test(initial) ? joined.replace(/^v/, 'u') : joined}${tone}`;
}

const INITIALS = 'b p m f d t n l g k h j q x zh ch sh r z c s'.split(' ');
const FINALS: ReadonlyMap<string, string> = new Map(
  (
    'ㄚa ㄛo ㄜe ㄝê ㄞai ㄟei ㄠao ㄡou ㄢan ㄣen ㄤang ㄥeng ㄦer ㄧi ㄧㄚia ㄧㄛio ㄧㄝie ㄧㄞiai ㄧㄠiao ㄧㄡiou ㄧㄢian ㄧㄣin ㄧㄤiang ㄧㄥing ' +
    'ㄨu ㄨㄚua ㄨㄛuo ㄨㄞuai ㄨㄟuei ㄨㄢuan ㄨㄣuen ㄨㄤuang ㄨㄥueng ㄩv ㄩㄝve ㄩㄢvan ㄩㄣvn ㄩㄥiong'
  )
    .split(' ')
    .map((entry): [string, string] => [entry.replace(/[a-zê]/g, ''), entry.replace(/[ㄚ-ㄩ]/g, '')]),
);
/** Behind an initial. */
const SHORTENED: Readonly<Record<string, string>> = { iou: 'iu', uei: 'ui', uen: 'un', ueng: 'ong' };

function withoutInitial(final: string): string {
  if (/^(?:i|in|ing)$/.test(final)) return `y${final}`;
  if (final.startsWith('i')) return `y${final.slice(1)}`;
  if (final === 'u') return 'wu';
  if (final.startsWith('u')) return `w${final.slice(1)}`;
  return final.startsWith('v') ? `yu${final.slice(1)}` : final;
}
