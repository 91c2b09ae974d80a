import { SYMBOL, type Word } from './words.js';

/**
 * Decides for each word whether it joins the accent phrase before it. Later rules overrule earlier ones; what numerals
 * decided stays.
 * upstream: Open JTalk, njd_set_accent_phrase (its 18 rules, of which 1 and 2 are the default)
 */
export function formAccentPhrases(words: readonly Word[]): void {
  for (let i = 1; i < words.length; i++) words[i]!.joins ??= joinsPrevious(words[i - 1]!, words[i]!);
}

function joinsPrevious(before: Word, word: Word): boolean {
  const noun = word.pos === '名詞';
  const verb = word.pos === '動詞';
  const adjective = word.pos === '形容詞';
  const depends = word.pos === '助動詞' || word.pos === '助詞';
  const suffix = word.group1 === '接尾';
  // What always begins or always continues a phrase, the strongest rule first.
  if (suffix) return true;
  if (before.pos === '名詞' && word.group3 === '名') return false;
  if (before.group3 === '姓' && noun) return false;
  if (word.pos === '接頭詞' || word.pos === SYMBOL || before.pos === SYMBOL) return false;
  if (before.pos === '名詞' && (verb || adjective || word.group1 === '形容動詞語幹')) {
    return false;
  }
  const formJoins = (before.pos === '動詞' || (adjective && before.pos === '形容詞')) && before.form === '連用';
  if ((verb || adjective) && word.group1 === '非自立') {
    if (formJoins) return true;
    if (adjective && before.group1 === '接続助詞' && (before.text === 'て' || before.text === 'で')) return true;
  }
  if (before.group1 === '接尾' && noun) return false;
  if (before.pos === '助動詞' || before.pos === '助詞') return depends;
  if (depends) return true;
  if (isAdverbialNoun(word) || isAdverbialNoun(before)) return false;
  if (STANDS_ALONE.has(word.pos) || STANDS_ALONE.has(before.pos)) return false;
  if (before.pos === '動詞' && (adjective || noun)) return false;
  if (noun && (before.pos === '形容詞' || (before.pos === '名詞' && before.group1 === '形容動詞語幹'))) return false;
  return true;
}

const STANDS_ALONE: ReadonlySet<string> = new Set(['副詞', '接続詞', '連体詞']);

function isAdverbialNoun(word: Word): boolean {
  return word.pos === '名詞' && word.group1 === '副詞可能';
}
