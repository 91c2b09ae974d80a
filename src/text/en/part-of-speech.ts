/**
 * The part of speech of one word in its sentence, as far as pronunciation needs it: a Penn tag that begins with V for a
 * verb (VBN for a participle, VBP for the present tense), N for a noun, J for an adjective. Decided by rules over the
 * words around: what introduces nouns, what introduces verbs, and what follows.
 */
export function partOfSpeech(tokens: readonly string[], index: number): string {
  // The month must not pass for the modal verb.
  const words = tokens.map((token, i) => (token === 'May' && i > 0 ? 'month' : token.toLowerCase()));
  const word = words[index] ?? '';
  if (word === 'read') return readTense(words, index);
  if (word === 'used') return usedTag(words, index);
  const next = words[index + 1] ?? '.';
  const before = introducer(words, index);
  const plural = /[^s]s$/.test(word);

  if (before.kind === 'verb') {
    // "due to records": behind the preposition `to` comes a noun, and only nouns end in s there.
    if (plural && before.word === 'to') return 'NNS';
    return 'VB';
  }
  if (before.kind === 'participle') return nounFollows(words, index) || ADJECTIVE_LIKE.has(word) ? 'JJ' : 'VBN';
  if (before.kind === 'noun')
    return ADJECTIVE_LIKE.has(word) && nounFollows(words, index) ? 'JJ' : plural ? 'NNS' : 'NN';
  if (before.kind === 'subject') return plural ? 'VBZ' : 'VBP';
  if (before.kind === 'start') {
    // A sentence that opens with the word: a command ("Record the call."), or a subject ("Records show…").
    if (plural) return OBJECTS.has(next) ? 'VBZ' : 'NNS';
    if (word === 'use' && !isVerb(next) && !MARK.test(next) && next !== 'of') return 'VB';
    if (OBJECTS.has(next)) return 'VB';
    return ADJECTIVE_LIKE.has(word) && nounFollows(words, index) ? 'JJ' : 'NN';
  }
  return afterWord(words, index, plural);
}

type Introducer = 'verb' | 'noun' | 'participle' | 'subject' | 'start' | 'word';

const setOf = (list: string): ReadonlySet<string> => new Set(list.split(' '));
const MARK = /^[^a-z]+$/;

const INFINITIVE = setOf(
  "to will would can could shall should may might must cannot 'll don't doesn't didn't do does did won't can't couldn't wouldn't shouldn't mustn't let's please i'll you'll he'll she'll we'll they'll it'll i'd you'd he'd she'd we'd they'd gonna helps",
);
const DETERMINERS = setOf(
  'a an the this that these those my your his her its our their some any no every each another either neither whose what which both all several many few more most much enough other such one two three four five six seven eight nine ten first second third next last',
);
const PREPOSITIONS = setOf(
  'of in on at by for with from into onto about without over under through during after before between against per as than within across via among behind beyond despite like near off toward towards upon out up down',
);
const BE_OR_HAVE = setOf(
  "is are was were be been being am isn't aren't wasn't weren't has have had having haven't hasn't hadn't i'm you're we're they're he's she's it's i've you've we've they've that's there's get gets got getting",
);
const SUBJECTS = setOf('i you we they he she it who people everyone nobody everybody someone and/or');
const ADVERBS = setOf(
  'not also always never often still just only even already soon again then really very too so quickly easily usually rarely sometimes ever currently simply',
);
const OBJECTS = setOf(
  'the a an this that these those my your his her its our their it them him me us all any some each every to how what',
);
const ADJECTIVE_LIKE = setOf(
  'absent abstract accent adept advocate aggregate alternate animate appropriate approximate articulate blessed close closer compact complex compound concert confederate content coordinate crabbed crooked cursed degenerate deliberate desolate diffuse dogged duplicate elaborate excess frequent graduate inclined incorporate initiate intimate inverse jagged learned legitimate moderate perfect precipitate present prostrate ragged separate subject subordinate suspect triplicate unused upset used',
);
const FINITE = setOf(
  "is are was were am be been has have had do does did will would can could shall should may might must isn't aren't wasn't weren't don't doesn't didn't won't can't",
);

/** Looks left, past adverbs and adjectives, for the word that tells what may come here. */
function introducer(words: readonly string[], index: number): { readonly kind: Introducer; readonly word: string } {
  for (let i = index - 1, steps = 0; i >= 0 && steps < 4; i--, steps++) {
    const word = words[i] as string;
    if (MARK.test(word))
      return { kind: steps === 0 ? 'start' : 'word', word: steps === 0 ? word : (words[index - 1] as string) };
    if (ADVERBS.has(word) || /ly$/.test(word)) continue;
    if (steps === 0 || passedOnlyAdverbs(words, i, index)) {
      if (INFINITIVE.has(word)) return { kind: 'verb', word };
      if (BE_OR_HAVE.has(word)) return { kind: 'participle', word };
      if (SUBJECTS.has(word)) return { kind: 'subject', word };
      if (word === 'please' || word === 'and' || word === 'or' || word === 'but')
        return conjunction(words, i, words[index + 1] ?? '.');
      if (word === "'" || /'s?$/.test(word)) return { kind: 'noun', word };
      if (PREPOSITIONS.has(word)) return { kind: 'noun', word };
    }
    if (DETERMINERS.has(word)) {
      // "the new record" is a noun; "the store closes" is decided by what follows.
      return passedOnlyAdverbs(words, i, index) || isAdjective(words[index - 1] ?? '')
        ? { kind: 'noun', word }
        : { kind: 'word', word };
    }
    if (!isAdjective(word)) return { kind: 'word', word };
  }
  return index === 0 ? { kind: 'start', word: '' } : { kind: 'word', word: words[index - 1] ?? '' };
}

/** "… to open and close": the same as before the conjunction. */
function conjunction(
  words: readonly string[],
  at: number,
  next: string,
): { readonly kind: Introducer; readonly word: string } {
  if (OBJECTS.has(next) && next !== 'to') return { kind: 'verb', word: words[at] ?? '' };
  for (let i = at - 1; i >= Math.max(0, at - 6); i--) {
    const word = words[i] as string;
    if (MARK.test(word)) break;
    if (INFINITIVE.has(word)) return { kind: 'verb', word };
    if (DETERMINERS.has(word) || PREPOSITIONS.has(word)) return { kind: 'noun', word };
  }
  return { kind: 'start', word: words[at] ?? '' };
}

function passedOnlyAdverbs(words: readonly string[], from: number, to: number): boolean {
  return words.slice(from + 1, to).every((word) => ADVERBS.has(word) || /ly$/.test(word));
}

function isAdjective(word: string): boolean {
  return (
    /(?:al|ous|ive|ful|less|ic|able|ible|ary|ent|ant|ed|ing|est|ish|ern)$/.test(word) ||
    COMMON_ADJECTIVES.has(word) ||
    DETERMINERS.has(word)
  );
}
const COMMON_ADJECTIVES = setOf(
  'new old good bad big small great high low long short early late full open free fresh hot cold real true whole main own same different large young right wrong strong weak clear easy hard fast slow rich poor light dark heavy clean dirty current best worst better worse sharp steep huge tiny key top live safe pilot',
);

/** Behind a word that is no function word: compound noun, or subject and verb. */
function afterWord(words: readonly string[], index: number, plural: boolean): string {
  const next = words[index + 1] ?? '.';
  const previous = words[index - 1] ?? '';
  if (next === 'of' || isVerb(next)) return plural ? 'NNS' : 'NN';
  const clauseHasVerb = clause(words, index).some((word) => FINITE.has(word));
  const takesObject = OBJECTS.has(next) && next !== 'to' && next !== 'all';
  if (plural && !clauseHasVerb) return 'VBZ';
  if (!plural && /[^s]s$/.test(previous) && !clauseHasVerb) return 'VBP';
  if (takesObject && !clauseHasVerb) return plural ? 'VBZ' : 'VBP';
  return ADJECTIVE_LIKE.has(words[index] ?? '') && nounFollows(words, index) ? 'JJ' : plural ? 'NNS' : 'NN';
}

/** The words around, up to the next mark or conjunction of clauses. */
function clause(words: readonly string[], index: number): readonly string[] {
  const ends = (word: string | undefined) =>
    word === undefined || MARK.test(word) || /^(?:when|while|because|if|that|which|who|and|but|where)$/.test(word);
  let start = index;
  let end = index + 1;
  while (start > 0 && !ends(words[start - 1])) start--;
  while (end < words.length && !ends(words[end])) end++;
  return words.slice(start, end).filter((_, i) => start + i !== index);
}

function isVerb(word: string): boolean {
  return (
    FINITE.has(word) || /^(?:went|came|made|took|gave|said|became|began|shows?|means?|seems?|runs?|goes)$/.test(word)
  );
}

function nounFollows(words: readonly string[], index: number): boolean {
  const next = words[index + 1] ?? '.';
  return !(
    MARK.test(next) ||
    PREPOSITIONS.has(next) ||
    DETERMINERS.has(next) ||
    FINITE.has(next) ||
    INFINITIVE.has(next) ||
    /^(?:and|or|but|when|while|because|if|enough)$/.test(next)
  );
}

/** "read": VBN or VBD (red) behind have and be or with a past time, else VB or VBP (reed). */
function readTense(words: readonly string[], index: number): string {
  const before = introducer(words, index);
  if (before.kind === 'verb') return 'VB';
  if (before.kind === 'participle') return 'VBN';
  if (before.kind === 'noun') return 'VB';
  const past = words
    .slice(Math.max(0, index - 12), index + 12)
    .some((word) => /^(?:yesterday|ago|last|once|earlier)$/.test(word));
  if (past) return 'VBD';
  // "He read it": without the s of the present tense.
  return /^(?:he|she|it)$/.test(before.word) ? 'VBD' : 'VBP';
}

/** "used to go" (VBD) is voiceless; "used a tool", "is used for" (VBN) is voiced. */
function usedTag(words: readonly string[], index: number): string {
  if (words[index + 1] !== 'to') return 'VBN';
  const before = introducer(words, index);
  return before.kind === 'participle' &&
    /^(?:is|was|be|been|being)$/.test(before.word) &&
    !/ing$/.test(words[index + 2] ?? '')
    ? 'VBN'
    : 'VBD';
}
