import { moraAt, toKatakana } from './kana.js';
import { FILLER, PAUSE, SYMBOL, type Word } from './words.js';

/**
 * Gives a sound to words the dictionary gives none: kana and letters as they are written, anything else is a pause.
 * Letters and kana that stand alone beside one another become one word. Then うs that lengthen become ー.
 * upstream: Open JTalk, njd_set_pronunciation
 */
export function pronounceUnknown(words: readonly Word[]): Word[] {
  for (const word of words) if (word.morae === 0) pronounceAsWritten(word);
  const joined: Word[] = [];
  let head: Word | undefined;
  for (const word of words) {
    const lone = word.pos === FILLER && isLoneSound(word.text);
    if (lone && head !== undefined) {
      head.text += word.text;
      head.end = word.end;
      head.pronunciation += word.pronunciation;
      head.morae += word.morae;
      continue;
    }
    head = lone ? word : undefined;
    joined.push(word);
  }
  joined.forEach((word, i) => {
    const before = joined[i - 1];
    if (word.pronunciation !== 'ウ' || word.pos !== '助動詞' || before === undefined) return;
    if ((before.pos === '動詞' || before.pos === '助動詞') && before.morae > 0) word.pronunciation = 'ー';
  });
  return joined;
}

function pronounceAsWritten(word: Word): void {
  const written = toKatakana(word.text);
  word.pronunciation = '';
  for (let at = 0; at < written.length; ) {
    const character = written.charAt(at);
    const letter = LETTERS.get(character.toLowerCase());
    const found = UNSOUNDED.includes(character) ? undefined : moraAt(written, at);
    // クヮ is two sounds where nobody wrote a word of it.
    const length = written.charAt(at + 1) === 'ヮ' ? 1 : (found?.length ?? 1);
    if (letter !== undefined) {
      word.pronunciation += letter[0];
      word.morae += letter[1];
    } else if (found !== undefined || character === 'ー') {
      word.pronunciation += written.slice(at, at + length);
      word.morae++;
    }
    at += length;
  }
  if (word.morae > 0) {
    word.pos = FILLER;
    word.group1 = word.group2 = word.group3 = '*';
  } else {
    word.pronunciation = PAUSE;
    word.pos = SYMBOL;
  }
}

function isLoneSound(text: string): boolean {
  const written = toKatakana(text);
  if (LETTERS.has(written.toLowerCase()) || written === 'ー') return true;
  if (UNSOUNDED.includes(written.charAt(0)) || written.endsWith('ヮ')) return false;
  const found = moraAt(written, 0);
  return found !== undefined && found.length === written.length;
}

/** Kana that are read inside the dictionary's words only. */
const UNSOUNDED = 'ヮヵヶ';

/** Full-width letters: their name and its morae as Open JTalk counts them. */
const LETTERS: ReadonlyMap<string, readonly [string, number]> = new Map(
  (
    'エー2 ビー2 シー2 ディー2 イー2 エフ2 ジー2 エイチ3 アイ2 ジェー2 ケー2 エル2 エム2 エヌ2 オー2 ピー2 キュー2 ' +
    'アール3 エス2 ティー2 ユー2 ブイ2 ダブリュー4 エックス4 ワイ2 ズィー2'
  )
    .split(' ')
    .map((name, i) => [String.fromCharCode(0xff41 + i), [name.slice(0, -1), Number(name.slice(-1))]]),
);
