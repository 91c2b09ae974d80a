import type { Language } from './language.js';
import { isSymbol } from './symbols.js';

/** Notations a reading may be given in. */
export const ALPHABETS = ['pinyin', 'jyutping', 'arpabet', 'ipa', 'hangul', 'kana'] as const;
export type Alphabet = (typeof ALPHABETS)[number];

/** The notation of a language where none is named. */
export const DEFAULT_ALPHABET: Readonly<Record<string, Alphabet>> = {
  zh: 'pinyin',
  yue: 'jyutping',
  en: 'arpabet',
  ko: 'hangul',
  ja: 'kana',
};

/** What a reading comes to: phones or syllables of a language, or a text that is read instead. */
export type Reading =
  | { readonly language: Language; readonly syllables: readonly string[] }
  | { readonly language: Language; readonly replacement: string };

/**
 * Reads a notation; a string says what is wrong with it. Pinyin with tone numbers (`hang2 zhang3`, 5 or no number for
 * the neutral tone), Jyutping, ARPAbet with stress numbers, IPA (English), hangul as it sounds, kana with `↓` behind the
 * mora after which the pitch falls.
 */
export async function parseReading(alphabet: Alphabet, written: string): Promise<Reading | string> {
  const value = written.trim();
  if (value === '') return 'the reading is empty';
  switch (alphabet) {
    case 'pinyin': {
      const { isSyllable } = await import('./zh/syllables.js');
      const syllables = value
        .toLowerCase()
        .split(/[\s'-]+/)
        .map(plainPinyin);
      const wrong = syllables.find((syllable) => !isSyllable(syllable));
      if (wrong !== undefined) return `"${wrong}" is not a syllable of pinyin; expected such as hang2 or lv4`;
      return { language: 'zh', syllables };
    }
    case 'jyutping': {
      const syllables = value.toLowerCase().split(/\s+/);
      const { jyutpingPhonemes } = await import('./yue/phonemes.js');
      const wrong = syllables.find((s) => !/^[a-z]{1,6}[1-6]$/.test(s) || jyutpingPhonemes(s).includes('UNK'));
      if (wrong !== undefined) return `"${wrong}" is not a syllable of Jyutping; expected such as hong4`;
      return { language: 'yue', syllables };
    }
    case 'arpabet': {
      const syllables = value.toUpperCase().split(/\s+/);
      const wrong = syllables.find((phone) => !/^[A-Z]{1,2}[012]?$/.test(phone) || !isArpabet(phone));
      if (wrong !== undefined) return `"${wrong}" is not a phone of ARPAbet; expected such as K, AE1, T`;
      return { language: 'en', syllables };
    }
    case 'ipa': {
      const syllables = ipaToArpabet(value);
      return typeof syllables === 'string' ? syllables : { language: 'en', syllables };
    }
    case 'hangul':
      return /^[가-힣 ]+$/.test(value)
        ? { language: 'ko', replacement: value }
        : 'a Korean reading is written in hangul syllables only';
    case 'kana':
      return /^[ぁ-ゖァ-ヺー↓ꜜ]+$/.test(value)
        ? { language: 'ja', syllables: [value.replaceAll('ꜜ', '↓')] }
        : 'a Japanese reading is written in kana, with ↓ behind the mora after which the pitch falls';
  }
}

/** `lüè4`, `lu:e4`, `nv` as the tables spell them: v for ü, a tone number always. */
function plainPinyin(written: string): string {
  const marked = written.normalize('NFD');
  const tone = [...'\u0304\u0301\u030c\u0300'].findIndex((mark) => marked.includes(mark)) + 1;
  const letters = marked
    .replace(/u\u0308|u:/g, 'v')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/([nl])ue/, '$1ve')
    .replace(/^([jqxy])v/, '$1u');
  return /\d$/.test(letters) ? letters.replace(/0$/, '5') : `${letters}${tone === 0 ? 5 : tone}`;
}

const VOWEL = /^(?:A[AEHOWY]|E[HRY]|I[HY]|O[WY]|U[HW])/;

function isArpabet(phone: string): boolean {
  return (
    isSymbol(phone, 'v1') &&
    (VOWEL.test(phone) ? /\d$/.test(phone) : /^(?:B|CH|DH?|F|G|HH|JH|K|L|M|NG?|P|R|SH?|TH?|V|W|Y|ZH?)$/.test(phone))
  );
}

/** Longest first. */
const IPA: readonly (readonly [string, string])[] = (
  't͡ʃ CH,tʃ CH,ʧ CH,d͡ʒ JH,dʒ JH,ʤ JH,aɪ AY,aj AY,aʊ AW,aw AW,eɪ EY,ej EY,oʊ OW,əʊ OW,ow OW,ɔɪ OY,ɔj OY,ɪə IH AH,eə EH,ʊə UH AH,' +
  'ɜː ER,ɜr ER,ər ER,ɝ ER,ɚ ER,ɜ ER,iː IY,i IY,ɪ IH,ɨ IH,ɛ EH,e EH,æ AE,ɑː AA,ɑ AA,ɒ AA,a AA,ɔː AO,ɔ AO,ʊ UH,uː UW,u UW,' +
  'ʌ AH,ə AH,ɐ AH,p P,b B,t T,ɾ T,d D,k K,g G,ɡ G,f F,v V,θ TH,ð DH,s S,z Z,ʃ SH,ʒ ZH,h HH,m M,n N,ŋ NG,l L,ɫ L,r R,ɹ R,w W,j Y,o OW,x K'
)
  .split(',')
  .map((entry): [string, string] => [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1)])
  .sort((a, b) => b[0].length - a[0].length);

function ipaToArpabet(written: string): string[] | string {
  const text = written.replace(/^[/[]|[/\]]$/g, '').normalize('NFC');
  const phones: string[] = [];
  let stress = '';
  for (let at = 0; at < text.length; ) {
    const mark = text[at]!;
    if (mark === 'ˈ' || mark === "'" || mark === 'ˌ') {
      stress = mark === 'ˌ' ? '2' : '1';
      at++;
      continue;
    }
    if (/\s|[.ː‿|]|\p{M}/u.test(mark)) {
      at++;
      continue;
    }
    const found = IPA.find(([sign]) => text.startsWith(sign, at));
    if (found === undefined)
      return `"${mark}" is not a sign of IPA that English has; give another notation for other languages`;
    for (const phone of found[1].split(' ')) {
      phones.push(VOWEL.test(phone) ? `${phone}${stress === '' ? '0' : stress}` : phone);
      if (VOWEL.test(phone)) stress = '';
    }
    at += found[0].length;
  }
  const vowels = phones.filter((phone) => VOWEL.test(phone));
  if (vowels.length === 1) return phones.map((phone) => (VOWEL.test(phone) ? `${phone.slice(0, 2)}1` : phone));
  return phones.length === 0 ? 'the reading is empty' : phones;
}
