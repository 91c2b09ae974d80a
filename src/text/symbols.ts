import type { SymbolVersion } from './language.js';

/**
 * The ids of phoneme names in one symbol table; a name outside the table becomes `UNK`, as the models were trained.
 * upstream: text/__init__.py cleaned_text_to_sequence
 */
export function phonemeIds(phonemes: readonly string[], version: SymbolVersion): number[] {
  const ids = IDS[version];
  const unknown = ids.get('UNK') ?? 0;
  return phonemes.map((phoneme) => ids.get(phoneme) ?? unknown);
}

/** Whether a symbol table holds this phoneme name. */
export function isSymbol(phoneme: string, version: SymbolVersion): boolean {
  return IDS[version].has(phoneme);
}

/** The phoneme names of one table in id order. upstream: text/symbols.py (v1), text/symbols2.py (v2) */
export function symbolTable(version: SymbolVersion): readonly string[] {
  return TABLES[version];
}

const PAUSES_AND_MARKS = '! ? … , . - SP SP2 SP3 UNK _';
const CHINESE_INITIALS = 'AA EE OO b c ch d f g h j k l m n p q r s sh t w x y z zh';
const CHINESE_FINALS =
  'E En a ai an ang ao e ei en eng er i i0 ia ian iang iao ie in ing iong ir iu o ong ou u ua uai uan uang ui un uo v van ve vn';
const JAPANESE = 'I N U a b by ch cl d dy e f g gy h hy i j k ky m my n ny o p py r ry s sh t ts u v w y z';
const ENGLISH_CONSONANTS = 'B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH';
// Each with stress 0, 1 and 2. `ER` and `IH` exist without a stress mark too.
const ENGLISH_VOWELS = 'AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW';

const KOREAN = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅓㅔㅗㅜㅡㅣ空停';
const CANTONESE_INITIALS = 'b c d f g gw h j k kw l m n ng p s t w z';
// Each with tones 1 to 6. The table also holds a few with no tone and a few bare codas with tones.
const CANTONESE_FINALS =
  'a aa aai aak aam aan aang aap aat aau ai ak am an ang ap at au e ei ek eng eoi eon eot g i ik im in ing ip it iu k m n o oe oek oeng oi ok on ong ot ou p t u ui uk un ung ut yu yun yut';
const CANTONESE_TONELESS = 'a aa ai ak au e o oi ok on ou uk';

function buildV1(): string[] {
  const names = [
    ...words(PAUSES_AND_MARKS),
    ...words(CHINESE_INITIALS),
    ...words(CHINESE_FINALS).flatMap((final) => ['1', '2', '3', '4', '5'].map((tone) => final + tone)),
    ...words(JAPANESE),
    ...words(ENGLISH_CONSONANTS),
    ...words(ENGLISH_VOWELS).flatMap((vowel) => ['0', '1', '2'].map((stress) => vowel + stress)),
    'ER',
    'IH',
  ];
  return [...new Set(names)].sort();
}

function buildV2(): string[] {
  const cantonese = [
    ...words(CANTONESE_INITIALS),
    ...words(CANTONESE_TONELESS),
    ...words(CANTONESE_FINALS).flatMap((final) => ['1', '2', '3', '4', '5', '6'].map((tone) => final + tone)),
  ].map((name) => `Y${name}`);
  return [...buildV1(), '[', ']', ...[...KOREAN].sort(), ...[...new Set(cantonese)].sort()];
}

function words(list: string): string[] {
  return list.split(' ');
}

const TABLES: Record<SymbolVersion, readonly string[]> = { v1: buildV1(), v2: buildV2() };
const IDS: Record<SymbolVersion, ReadonlyMap<string, number>> = {
  v1: new Map(TABLES.v1.map((name, id) => [name, id])),
  v2: new Map(TABLES.v2.map((name, id) => [name, id])),
};
