import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { LANGUAGE_MODES, type LanguageMode } from './language.js';
import { languageSpans, requireKnownScripts } from './language-spans.js';

const split = (text: string, mode: LanguageMode = 'zh') =>
  languageSpans(text, mode)
    .map((span) => `${span.language}:${span.text}`)
    .join('|');

describe('language spans', () => {
  it.each([
    ['我在Apple公司上班，每天用MacBook写代码。', 'zh:我在|en:Apple|zh:公司上班，每天用|en:MacBook|zh:写代码。'],
    ['Netflix和YouTube都是视频平台。', 'en:Netflix|zh:和|en:YouTube|zh:都是视频平台。'],
    ['iPhone 15的价格是5999元', 'en:iPhone 15|zh:的价格是5999元'],
    ['Room 1208在12楼。', 'en:Room 1208|zh:在12楼。'],
    ['COVID-19疫情期间', 'en:COVID-19|zh:疫情期间'],
    ['他跑了10km，用时45min。', 'zh:他跑了10km，用时45min。'],
    ['他说：“I will be back.”然后走了', 'zh:他说：“|en:I will be back.”|zh:然后走了'],
    ['“AI”改变了一切。', 'en:“AI”|zh:改变了一切。'],
    ['3', 'zh:3'],
    ['优の品', 'zh:优的品'],
    ['ＡＰＰ１', 'en:APP1'],
    ['沪A12345停在门口', 'zh:沪|en:A|zh:12345停在门口'],
    ['京B·6789X也在', 'zh:京|en:B·|zh:6789|en:X|zh:也在'],
    ['粤B12345，', 'zh:粤|en:B|zh:12345，'],
    ['2024Q3营收', 'zh:2024|en:Q|zh:3营收'],
    ['2024Q3', 'zh:2024|en:Q|zh:3'],
    ['和Q4的', 'zh:和|en:Q|zh:4的'],
    ['喝H2O和MP3', 'zh:喝|en:H2O|zh:和|en:MP3'],
    ['PM2.5超标，USB3.0口', 'en:PM|zh:2.5超标，|en:USB|zh:3.0口'],
    ['血压135/85mmHg，好', 'zh:血压135/85mmHg，好'],
    ['坐1A号线，电流10A', 'zh:坐1|en:A|zh:号线，电流10A'],
    ['的A17 Pro芯片', 'zh:的|en:A17 Pro|zh:芯片'],
    ['他的QQ：10086888。', 'zh:他的|en:QQ：|zh:10086888。'],
    ['K8s集群，8车12F座', 'en:K8s|zh:集群，8车12|en:F|zh:座'],
    ['他1m82，RMB 3,000/月', 'zh:他1m82，RMB 3,000/月'],
    ['能到2w+。', 'zh:能到2w+。'],
    ['在32F等', 'zh:在32F等'],
    ['售價US$20左右', 'zh:售價US$20左右'],
  ])('of %s', (text, expected) => {
    expect(split(text)).toBe(expected);
  });

  it.each<[LanguageMode, string, string]>([
    ['yue', '佢send咗email畀我3次。', 'yue:佢|en:send|yue:咗|en:email|yue:畀我3次。'],
    ['auto_yue', '韓文「안녕하세요」即係hello', 'yue:韓文「|ko:안녕하세요」|yue:即係|en:hello'],
    ['all_yue', 'iPhone 15嘅價錢', 'en:iPhone |yue:15嘅價錢'],
    ['ko', '오늘 meeting은 3시에 시작해요.', 'ko:오늘 |en:meeting|ko:은 3시에 시작해요.'],
    ['ko', '大韓民國의 수도', 'ko:大韓民國의 수도'],
    ['all_ko', 'Model 3은 전기차', 'en:Model |ko:3은 전기차'],
    ['auto', '감사합니다，谢谢大家。', 'ko:감사합니다，|zh:谢谢大家。'],
    ['auto', '2024년 5월 20일', 'ko:2024년 5월 20일'],
    ['ja', '今日のmeetingは3時からです。', 'ja:今日の|en:meeting|ja:は3時からです。'],
    ['all_ja', 'iPhone 15を買う', 'en:iPhone |ja:15を買う'],
    ['ja', '3LDKの部屋', 'ja:3|en:LDK|ja:の部屋'],
    ['ja', 'BMI21.8でした。', 'en:BMI|ja:21.8でした。'],
    ['ja', 'BMI22.5、血圧', 'en:BMI|ja:22.5、血圧'],
    ['ko', '0.25%p 인하', 'ko:0.25%p 인하'],
    ['ja', '东京は日本です', 'ja:东京は日本です'],
    ['auto', '今日はいい天気ですね。東京駅で。', 'ja:今日はいい天気ですね。東京駅で。'],
    ['auto', '私は中国の上海から来ました。上海很大。', 'ja:私は中国の上海から来ました。|zh:上海很大。'],
    ['auto', '他说ありがとう', 'zh:他说|ja:ありがとう'],
    ['auto', '他用日语说了一句おはようございます。', 'zh:他用日语说了一句|ja:おはようございます。'],
    ['auto', '你也喜欢まいご吗？', 'zh:你也喜欢|ja:まいご|zh:吗？'],
    ['auto', 'こんにちは，我是来自中国的留学生。', 'ja:こんにちは，|zh:我是来自中国的留学生。'],
    ['auto', '学生、先生、会社。', 'ja:学生、先生、会社。'],
    ['auto', '本日はありがとうございます。以上。', 'ja:本日はありがとうございます。以上。'],
    ['auto', '以上。本日はありがとうございます。', 'ja:以上。本日はありがとうございます。'],
    ['auto', '和Android一起用，大学', 'zh:和|en:Android|zh:一起用，大学'],
    ['auto', '株式会社の売上', 'ja:株式会社の売上'],
    ['auto', '优の品', 'zh:优的品'],
    ['auto', '私の本', 'ja:私の本'],
    ['auto', '(^_^)ノ 太好了', 'zh:(^_^)ノ 太好了'],
    ['auto', 'このアプリはiPhoneとAndroidで使えます。', 'ja:このアプリは|en:iPhone|ja:と|en:Android|ja:で使えます。'],
    ['auto_yue', '佢話ありがとう', 'yue:佢話|ja:ありがとう'],
  ])('in %s of %s', (mode, text, expected) => {
    expect(split(text, mode)).toBe(expected);
  });

  it('read every number as Chinese in all_zh, and everything as English in en', () => {
    expect(split('iPhone 15的价格', 'all_zh')).toBe('en:iPhone |zh:15的价格');
    expect(split('Room 12, 3rd floor', 'en')).toBe('en:Room 12, 3rd floor');
  });

  it('name the words that no language of the mode reads', () => {
    for (const [text, mode, word] of [
      ['他说ありがとう', 'zh', 'ありがとう'],
      ['안녕하세요', 'ja', '안녕하세요'],
      ['안녕하세요', 'zh', '안녕하세요'],
      ['안녕하세요', 'yue', '안녕하세요'],
      ['ありがとう안녕', 'ko', 'ありがとう'],
      ['Привет, world', 'en', 'Привет'],
      ['Hello 世界', 'en', '世界'],
    ] as const) {
      expect(() => languageSpans(text, mode)).toThrow(expect.objectContaining({ code: 'LANGUAGE_UNSUPPORTED' }));
      expect(() => languageSpans(text, mode)).toThrow(word);
    }
  });

  it('name the language that a v1 model does not speak', () => {
    for (const [text, mode, language] of [
      ['你好', 'yue', 'Cantonese'],
      ['hello', 'all_ko', 'Korean'],
      ['hello 안녕', 'auto', 'Korean'],
    ] as const) {
      expect(() => requireKnownScripts(text, mode, 'v1')).toThrow(
        `speaks Chinese, English and Japanese, not ${language}`,
      );
      expect(() => requireKnownScripts(text, mode, 'v2')).not.toThrow();
    }
    expect(() => requireKnownScripts('你好', 'auto', 'v1')).not.toThrow();
  });

  it('keep single letters that serve as symbols', () => {
    expect(split('α粒子 (^_^)ノ')).toBe('zh:α粒子 (^_^)ノ');
  });

  it('lose nothing, whatever the text, or say what they cannot read', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(fc.constantFrom(...'中文和a한글 B9,。 -$%10kmのカ気ー々'.split('')), { maxLength: 40 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, fc.constantFrom(...LANGUAGE_MODES), (input, mode) => {
        try {
          const joined = languageSpans(input, mode)
            .map((span) => span.text)
            .join('');
          // の between Chinese characters is read as 的
          const traded = input.replace(/(?<=\p{Script=Han})の(?=\p{Script=Han})/gu, '的');
          expect([input, traded].map((text) => text.normalize('NFKC'))).toContain(joined.normalize('NFKC'));
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(error.code).toBe('LANGUAGE_UNSUPPORTED');
        }
      }),
      { numRuns: 500 },
    );
  });
});
