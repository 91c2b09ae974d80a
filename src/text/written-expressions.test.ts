import { describe, expect, it } from 'vitest';
import { readText, textToPhonemes } from './frontend.js';
import type { LanguageMode } from './language.js';

/** What is read of a text, as a request has it: sentences joined, stretches of a language parted by a blank. */
async function spoken(text: string, language: LanguageMode): Promise<string> {
  let read = '';
  for await (const item of readText(text, { language, method: 'sentence', symbols: 'v2' })) {
    if (item.type !== 'text') continue;
    const { segments } = await textToPhonemes(item.text, { language, symbols: 'v2' });
    read += segments.map(({ normalizedText }) => normalizedText.trim()).join(' ');
  }
  // a pause in front of a short opening
  return read.replace(/^[.。] ?/, '');
}

/** Each kind of written expression in each language. */
const KINDS: Readonly<Record<string, readonly (readonly [LanguageMode, string, string])[]>> = {
  numbers: [
    ['zh', '共有1,234,567人', '共有一百二十三万四千五百六十七人.'],
    ['en', '1,234,567 people', 'one million, two hundred thirty-four thousand, five hundred sixty-seven people.'],
    ['ja', '1,234,567人', '1234567人。'],
    ['ko', '1,234,567명', '백이십삼만사천오백육십칠명。'],
    ['yue', '有1,234,567個人', '有一百二十三万四千五百六十七個人.'],
  ],
  dates: [
    ['zh', '于2024-05-20开始', '于二零二四年五月二十日开始.'],
    ['en', '2024-05-20', 'May twentieth, twenty twenty-four.'],
    ['ja', '2024-05-20', '2024年5月20日。'],
    ['ko', '2024-05-20', '이천이십사년 오월 이십일。'],
    ['yue', '2024-05-20', '二零二四年五月二十日.'],
  ],
  'times of day': [
    ['zh', '14:30开会吧', '十四点半开会吧.'],
    ['en', 'at 14:30', 'at two thirty P M.'],
    ['ja', '14:30に', '14時30分に。'],
    ['ko', '14:30에', '십사시 삼십분에。'],
    ['yue', '14:30開會', '十四点半開會.'],
  ],
  money: [
    ['zh', '只要$3.50', '只要三点五零美元.'],
    ['en', '$3.50', 'three dollars and fifty cents.'],
    ['ja', '¥1,980です', '1980円です。'],
    ['ko', '₩1,500', '천오백원。'],
    ['yue', '$50', '五十元.'],
  ],
  units: [
    ['zh', '跑了5km', '跑了五千米.'],
    ['en', '5km', 'five kilometers.'],
    ['ja', '5kmです', '5キロメートルです。'],
    ['ko', '5km', '오킬로미터。'],
    ['yue', '5km', '五公里.'],
  ],
  'telephone numbers': [
    ['zh', '电话010-12345678', '电话零幺零,幺二三四五六七八.'],
    ['en', 'call 415-555-2671', 'call four one five, five five five, two six seven one.'],
    ['ja', '電話は03-1234-5678です', '電話は03の1234の5678です。'],
    ['ko', '전화는 010-1234-5678', '전화는 공일공-일이삼사-오육칠팔。'],
    ['yue', '打2888-1234', '打二八八八,一二三四.'],
  ],
  addresses: [
    ['zh', '建国路88号3号楼2单元1501室', '建国路八十八号三号楼二单元幺五零幺室.'],
    ['en', '221B Baker St. London', 'two hundred twenty-one B Baker Street London.'],
    ['ja', '千代田区丸の内1-9-1', '千代田区丸の内1の9の1。'],
    ['ko', '테헤란로 123번길 45, 7층 702호', '테헤란로 백이십삼번길 사십오, 칠층 칠백이호。'],
    ['yue', '彌敦道688號12樓', '彌敦道六八八號十二樓.'],
  ],
  ranges: [
    ['zh', '需要3-5天', '需要三到五天.'],
    ['en', '3-5 days', 'three to five days.'],
    ['ja', '3〜5日', '3日から5日。'],
    ['ko', '3~5개', '세개에서 다섯개。'],
    ['yue', '3-5日', '三到五日.'],
  ],
  fractions: [
    ['zh', '占3/4', '占四分之三.'],
    ['en', '3/4 mile', 'three fourths mile.'],
    ['ja', '3/4です', '4ブンの3です。'],
    ['ko', '3/4', '사분의 삼。'],
    ['yue', '3/4杯', '四分之三杯.'],
  ],
  scores: [
    ['zh', '以3:2取胜', '以三比二取胜.'],
    ['en', 'won 3-1', 'won three one.'],
    ['ja', '3-2で勝った', '3対2で勝った。'],
    ['ko', '3-1로 이겼다', '삼 대 일로 이겼다。'],
    ['yue', '3比1贏', '三比一贏.'],
  ],
  versions: [
    ['zh', '版本2.0.1', '版本二点零点一.'],
    ['en', 'version 2.0.1', 'version two point zero point one.'],
    ['ja', 'バージョン2.0.1です', 'バージョン2ドット0ドット1です。'],
    ['ko', '버전 2.0.1', '버전 이점영점일。'],
    ['yue', '版本2.0.1', '版本二点零点一.'],
  ],
  'web addresses': [
    ['zh', '请见https://example.com/a', '请见 example dot com slash a.'],
    ['en', 'see https://example.com/a', 'see example dot com slash a.'],
    ['ja', '詳細はhttps://example.com/a', '詳細は example dot com slash a.'],
    ['ko', '자세한 내용은 https://example.com/a', '자세한 내용은 example dot com slash a.'],
    ['yue', '睇下https://example.com/a', '睇下 example dot com slash a.'],
  ],
  'e-mail': [
    ['zh', '发到taro@example.com', '发到 taro at example dot com.'],
    ['en', 'mail taro@example.com', 'mail taro at example dot com.'],
    ['ja', 'メールはtaro@example.com', 'メールは taro at example dot com.'],
    ['ko', '메일은 taro@example.com', '메일은 taro at example dot com.'],
    ['yue', '寄去taro@example.com', '寄去 taro at example dot com.'],
  ],
  codes: [
    ['zh', '订单HK20241008', '订单 H K 二零二四幺零零八.'],
    ['en', 'order HK20241008', 'order H K two zero two four one zero zero eight.'],
    ['ja', '注文HK20241008です', '注文 H K two zero two four one zero zero eight です。'],
    ['ko', '주문 HK20241008', '주문 H K two zero two four one zero zero eight.'],
    ['yue', '訂單HK20241008', '訂單 H K 二零二四一零零八.'],
  ],
  emoji: [
    ['zh', '好的👌谢谢', '好的谢谢.'],
    ['en', 'okay 👌 thanks', 'okay thanks.'],
    ['ja', 'いいね👍ありがとう', 'いいねありがとう。'],
    ['ko', '좋아요👍', '좋아요👍。'],
    ['yue', '好👌多謝', '好多謝.'],
  ],
  signs: [
    ['zh', '气温5℃和10%', '气温五度和百分之十.'],
    ['en', '5°C and 10%', 'five degrees celsius and ten percent.'],
    ['ja', '5℃と10%', '5度と10パーセント。'],
    ['ko', '5℃와 10%', '오도와 십퍼센트。'],
    ['yue', '5℃同10%', '五度同百分之十.'],
  ],
};

for (const [kind, cases] of Object.entries(KINDS)) {
  describe(kind, () => {
    it.each(cases)('in %s: %s is read %s', async (language, written, read) => {
      expect(await spoken(written, language)).toBe(read);
    });
  });
}
