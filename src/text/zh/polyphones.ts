import { correctedReadings } from './corrected-words.js';
import { frequencyOf, getDictionary } from './dictionary.js';
import { type PolyphoneContext, SentenceContext } from './polyphone-model.js';
import {
  COMMON_WORD_SURNAMES,
  KNOWN_NAMES,
  NOT_A_NAME,
  POLYPHONE_RULES,
  RARE_SURNAME_READINGS,
  SURNAME_READINGS,
  TITLE,
} from './polyphone-rules.js';
import { isPhrase, readWord, type Syllable, spell, syllable } from './syllables.js';
import type { TaggedWord } from './tagger.js';

/**
 * Readings that the context decides otherwise than the tables do, by position in the segment: corrected words, surnames
 * before titles, 得 地 的, and single characters by their neighbours. Everything else is left to the tables.
 *
 * `words` are the segment's words before they are merged for sandhi. Not from upstream, which without its neural model
 * reads 84 % of the reference's polyphone targets right.
 */
export function resolvePolyphones(
  segment: string,
  words: readonly TaggedWord[],
  context: Pick<PolyphoneContext, 'knows' | 'readingAt'> = new SentenceContext(segment),
): ReadonlyMap<number, Syllable> {
  const resolved = new Map<number, Syllable>();
  let begin = 0;
  words.forEach((current, i) => {
    const { word } = current;
    const corrections = correctedReadings(word);
    for (const [index, reading] of corrections ?? []) resolved.set(begin + index, reading);
    const trusted = word.length > 1 && (corrections !== undefined || isPhrase(word));
    for (let index = 0; index < word.length; index++) {
      const at = begin + index;
      const reading =
        surnameReading(segment, at, word, current.tag, index) ??
        particleReading(words, i, index) ??
        contextReading(segment, at, trusted);
      if (reading !== undefined && !(corrections && resolved.has(at))) resolved.set(at, reading);
    }
    if (corrections === undefined) {
      for (const [index, reading] of modelReadings(word, begin, context, (at) => resolved.has(at))) {
        resolved.set(begin + index, reading);
      }
    }
    begin += word.length;
  });
  return resolved;
}

/** Where the model is less sure than this, a character has its usual reading. */
const SURE = 0.6;

/**
 * Characters with rules whose usual reading the model overrules where none of them applies, if it is surer than this: in
 * the CPP dataset's dev part it is more often right there. Of the other characters with rules it is not asked.
 */
const ASKED_BESIDE_RULES: ReadonlySet<string> = new Set('卷曲钻煞拧藏率累晕切薄泊晃幢');
const SURE_BESIDE_RULES = 0.9;

/** Readings of a word's characters where the context model has others than the tables: of no phrase, decided by no rule. */
function modelReadings(
  word: string,
  begin: number,
  context: Pick<PolyphoneContext, 'knows' | 'readingAt'>,
  isDecided: (at: number) => boolean,
): (readonly [number, Syllable])[] {
  const found: (readonly [number, Syllable])[] = [];
  let usual: readonly Syllable[] | undefined;
  for (let index = 0; index < word.length; index++) {
    const character = word[index]!;
    const hasRules = POLYPHONE_RULES.has(character);
    if (!context.knows(character) || LEFT_TO_RULES.has(character)) continue;
    if (hasRules && !ASKED_BESIDE_RULES.has(character)) continue;
    if (isDecided(begin + index) || isInPhrase(word, index)) continue;
    const model = context.readingAt(begin + index);
    if (model === undefined) continue;
    usual ??= readWord(word);
    if (model.confidence >= (hasRules ? SURE_BESIDE_RULES : SURE) && model.reading !== usual[index])
      found.push([index, model.reading]);
  }
  return found;
}

/** Whether the phrase table knows the character's reading as part of this word: 发 in 理发店. */
export function isInPhrase(word: string, index: number): boolean {
  for (let start = Math.max(0, index - 3); start <= index; start++) {
    const last = Math.min(word.length, start + LONGEST_PHRASE);
    for (let end = Math.max(index + 1, start + 2); end <= last; end++) {
      if (isPhrase(word.slice(start, end))) return true;
    }
  }
  return false;
}

const LONGEST_PHRASE = 8;

/** Particles, affixes and 一 不, which grammar and tone sandhi decide. */
const LEFT_TO_RULES: ReadonlySet<string> = new Set('一不的地得了着过儿子头们么吗呢吧啊上下里来去');

/** How far rules may look to either side. */
const CONTEXT_CHARACTERS = 10;

function contextReading(segment: string, at: number, trusted: boolean): Syllable | undefined {
  const rules = POLYPHONE_RULES.get(segment[at]!);
  if (!rules) return undefined;
  const before = segment.slice(Math.max(0, at - CONTEXT_CHARACTERS), at);
  const after = segment.slice(at + 1, at + 1 + CONTEXT_CHARACTERS).replace(/[!?…,.-]{1,10}$/, '');
  for (const rule of rules) {
    if (trusted && !rule.insideWords) continue;
    if ((rule.before?.test(before) ?? true) && (rule.after?.test(after) ?? true)) return syllable(rule.reading);
  }
  return undefined;
}

/** A surname after 姓, before a title, or at the head of a personal name the segmentation found. */
function surnameReading(segment: string, at: number, word: string, tag: string, index: number): Syllable | undefined {
  const character = segment[at]!;
  const common = SURNAME_READINGS.get(character);
  if (segment[at - 1] === '姓' && segment[at - 2] !== '百') {
    const reading = common ?? RARE_SURNAME_READINGS.get(character);
    return reading !== undefined && !/^[名氏]/.test(segment.slice(at + 1)) ? syllable(reading) : undefined;
  }
  if (common === undefined || index !== 0 || (character === '华' && segment[at + 1] === '氏')) return undefined; // 华氏
  const after = segment.slice(at + 1, at + 1 + CONTEXT_CHARACTERS);
  const isAddressed =
    word.length === 1
      ? TITLE.test(after) && (character !== '任' || ADDRESSED_AFTER.test(segment.slice(0, at)))
      : TITLE.test(word.slice(1)) || isPersonalName(segment, at, word, tag);
  if (isAddressed && !(word.length > 1 && (isPhrase(word) || isPhrase(word.slice(0, 2))))) return syllable(common);
  // 曾国藩, 任正非: a given name of two characters before a title
  if (word.length === 1 && /^[\u4e00-\u9fa5]{1,2}(?:先生|女士|小姐|教授|博士|经理|主任|医生|律师|同志)/.test(after)) {
    return /^(?:[的了是有和在给把被让向对这那我你他她它们]|一[个位名]|两)/.test(after) ? undefined : syllable(common);
  }
  return undefined;
}

/** Before 任 and a title: elsewhere it is the verb, 他任校长. */
const ADDRESSED_AFTER = /(?:^|[,.!?，和与跟同向对找叫请问见给把被让由听谢是您的])$/;

const TITLE_BEFORE =
  /(?:记者|演员|导演|歌手|作家|诗人|教授|校长|院长|总统|总理|主席|医生|大夫|老师|院士|博士|学家|画家|队员|球员|队长|选手|主持人|市民|村民|网友|同学|先生|女士|丈夫|妻子|儿子|女儿|名叫)$/;
const NAME_MAY_START = /(?:^|[和与跟、及是叫])$/;
const NAMED_AFTER =
  /^(?:说|表示|认为|告诉|介绍|指出|强调|透露|回忆|坦言|和|与|等|出生|生于|先生|女士|小姐|教授|博士|经理|主任|医生|律师|同志|老师)/;

/**
 * Whether a word tagged as a name is one. The tagger's dictionary has 曾效力, 盖章, 解方程 and 查字典 as names, so where the
 * surname is a common word too, only known names count, and guessed ones with a title before them or speech behind them.
 */
function isPersonalName(segment: string, at: number, word: string, tag: string): boolean {
  if (tag !== 'nr' && tag !== 'nrfg') return false;
  if (!COMMON_WORD_SURNAMES.test(word)) return !NOT_A_NAME.test(word);
  if (KNOWN_NAMES.test(word)) return true;
  if (word.length > 3 || frequencyOf(getDictionary(), word) > 0) return false;
  const before = segment.slice(Math.max(0, at - CONTEXT_CHARACTERS), at);
  const after = segment.slice(at + word.length, at + word.length + CONTEXT_CHARACTERS);
  return TITLE_BEFORE.test(before) || (NAME_MAY_START.test(before) && NAMED_AFTER.test(after));
}

/** 得 地 的 by grammar; undefined for other characters and where the usual neutral reading holds. */
function particleReading(words: readonly TaggedWord[], at: number, index: number): Syllable | undefined {
  const { word, tag } = words[at]!;
  const character = word[index]!;
  // jieba has 得去, 得要 and the like as words
  if (character === '得' && index === 0 && word.length > 1 && !isPhrase(word)) {
    return /^得(?:克|悉|闲|来|不到|愈|知|到|以|证|其|此|救|州)/.test(word) ? syllable('de2') : readDe(words, at);
  }
  if (character === '得' && index > 0 && index < word.length - 1 && !NO_VERB_BEFORE_DE.test(word[index - 1]!)) {
    if (COMPLEMENT.test(word.slice(index + 1))) return syllable('de5');
  }
  if (character === '得' && /[由舍怨见怪]不$/.test(word.slice(0, index))) return syllable('de5');
  if (index !== word.length - 1) return undefined;
  if (word.length > 1) return finalParticleReading(word, tag, character);
  if (character === '得') return readDe(words, at);
  if (character === '地') return readDi(words, at);
  return undefined;
}

/** 获得 de2, 目的 di4, 土地 di4, but 觉得 de5, 悄悄地 de5. */
function finalParticleReading(word: string, tag: string, character: string): Syllable | undefined {
  if (character === '地') {
    const isAdverb = !isPhrase(word) && /^[zdu]/.test(tag);
    return syllable(isAdverb || /(.)\1地$/.test(word) ? 'de5' : 'di4');
  }
  if (character === '的') return isPhrase(word) && endsIn(word, 'di4') ? syllable('di4') : undefined;
  if (character === '得') {
    if (/^.不得$/.test(word)) return undefined; // 恨不得, 舍不得: light in speech
    if (/^n/.test(tag) || /[求争挣竞测摘录分换赚售既兼必所]得$/.test(word)) return syllable('de2');
    if (isPhrase(word) && endsIn(word, 'dei3')) return syllable('dei3');
    return isPhrase(word) && endsIn(word, 'de2') ? syllable('de2') : undefined;
  }
  return undefined;
}

/** Inside a word between a verb and what it comes to 得 is light: 做得好, 比得上, 沉得住气; but 不得了, 值得一提, 旗开得胜. */
const NO_VERB_BEFORE_DE = /[不未何无毋莫勿么难所既取获习战安彼值总非可必]/;
const COMPLEMENT =
  /^(?:[上下起过住着到来去出完好多很快慢饱清懂开赢动了狠严密牢美高低早香对红走见掉是惯远转通成俊帅艳慌]|[出起下过]来|下去|更好|清楚|火热|流油|要命|要死|好听|好看|住气|起的|丰美|坚韧|复杂|宽容|残忍|不可|住脚|无聊|什么|正[甜香]|单薄|精光|过去|有理)$/;

function endsIn(word: string, reading: string): boolean {
  return spell(readWord(word).at(-1)!) === reading;
}

/** What is obtained: 得了冠军, 得第一, 得一百分. */
const OBTAINED =
  /^(?:了(?!$)|过|到|出|奖|分|胜|病|罪|逞|知|名|冠军|亚军|季军|金牌|银牌|铜牌|满分|零分|高分|第|数|其|证|票|癌|感冒|便宜|天下|人心|民心|手|势|失|意|体|当|力|主|利|救|益|以|不偿失|寸进尺|饶人|意外|[一二三四五六七八九十百两零几]+(?:[分个票枚等项次]|冠|金))/;
const PERSONAL = /^(?:[你我他她它您咱谁]|[你我他她它咱]们|大家|人家|自己|别人)$/;
const DUTY_ADVERB =
  /(?:就|都|也|又|还|可|准|总|必|须|只|非|才|先|再|真|一定|肯定|必须|恐怕|至少|起码|每天|今天|明天|现在|以后|马上|早晚|迟早|凡事|看来)$/;

/** dei3 "must" before a verb and after a subject, de2 "obtain" before an object; after a verb or adjective it stays neutral. */
function readDe(words: readonly TaggedWord[], at: number): Syllable | undefined {
  const before = words[at - 1];
  const own = words[at]!.word.slice(1);
  const next = words.slice(at + 1, at + 5).map(({ word }) => word);
  const after = own + next.join('');
  const opens = !before || before.tag === 'x' || before.tag === 'm';
  const afterSubject =
    opens ||
    PERSONAL.test(before.word) ||
    DUTY_ADVERB.test(before.word) ||
    /^(?:r|d|t|f|nr|n|ns|nt|c|y)/.test(before.tag);
  if (!afterSubject || /^[!?…,.-]?$/.test(after)) return undefined;
  if (
    /^(?:不|[这那]么|这样|那样|很|非常|十分|更|像|跟.*一样|好好)/.test(after) &&
    before &&
    /^(?:n|d)/.test(before.tag) &&
    !DUTY_ADVERB.test(before.word)
  ) {
    return undefined; // 身体得很… is a complement after a verb the tagger took for a noun
  }
  if (OBTAINED.test(after)) return syllable('de2');
  // 玩儿得可高兴了: 儿 belongs to the verb before it
  if (before?.word.endsWith('儿') && /^(?:可|真|挺|很|太|不|特别|非常|都)/.test(after)) return undefined;
  const nextTag = own === '' ? words[at + 1]!.tag : 'v';
  if (opens && /^n/.test(nextTag)) return syllable('de2'); // 两人，得佛像经卷
  const startsDuty = /^(?:v|d|p|a|i|l|z|r|t|n|m|f)/.test(nextTag);
  const isCertain = opens || PERSONAL.test(before.word) || DUTY_ADVERB.test(before.word) || /^(?:v|d|p)/.test(nextTag);
  return startsDuty && isCertain ? syllable('dei3') : undefined;
}

/** After these 地 is the ground: 种地, 这块地, 在地上. */
const GROUND_BEFORE =
  /(?:种|扫|拖|耕|买|卖|占|下|落|倒|坐|躺|此|该|本|块|亩|片|各|每|两|这|那|在|就|离|着|天|田|荒|菜|土|空|租|征|圈|擦|翻|锄|犁|有|是|到|从)$/;

/** de5 after an adverbial and before what it modifies, else di4. */
function readDi(words: readonly TaggedWord[], at: number): Syllable {
  const before = words[at - 1];
  const next = words[at + 1];
  if (before && /^(.)\1$/.test(before.word)) return syllable('de5'); // 渐渐地，天亮了
  const adverbial = words
    .slice(Math.max(0, at - 4), at)
    .map(({ word }) => word)
    .join('');
  if (/一(.)一\1$|一.一.$|[头也]?也不.{1,2}$/.test(adverbial)) return syllable('de5'); // 一片一片地, 头也不回地
  if (
    /^(?:滑|震|陷|铁|裂|契|主|瓜|段|皮|处|基|图|板)/.test(next?.word ?? '') &&
    /(?:心|防|谨防|注意|雨天|雪天|路|，)$/.test(adverbial)
  )
    return syllable('di4'); // 小心地滑
  const isAdverbial =
    before !== undefined &&
    next !== undefined &&
    next.tag !== 'x' &&
    next.word !== '.' &&
    before.tag !== 'x' &&
    !GROUND_BEFORE.test(before.word) &&
    !/^(?:[上下里面方])/.test(next.word) &&
    (before.word.length > 1 || /^(?:a|d|z|i|o|l|b|ad|v)/.test(before.tag));
  return syllable(isAdverbial ? 'de5' : 'di4');
}
