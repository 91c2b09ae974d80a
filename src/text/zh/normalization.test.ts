import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SourceText } from '../source-text.js';
import { normalizeChinese, normalizeWithPauses } from './normalization.js';

const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');

function describeTable(name: string, table: string): void {
  describe(name, () => {
    it.each(
      table
        .trim()
        .split('\n')
        .map((line) => line.trim().split(' -> ')),
    )('reads %s as %s', (written, spoken = '') => {
      expect(normalizeChinese(written)).toBe(spoken);
    });
  });
}

describeTable(
  'what people write in orders, news and messages',
  `
  订单号：2026-0331-00127，请核对。 -> 订单号,二零二六,零三三幺,零零幺二七,请核对.
  周三（4/8）下午 -> 周三四月八日下午
  以25:23、25:19、22:25赢下 -> 以二十五比二十三,二十五比十九,二十二比二十五赢下
  用时2h15min。 -> 用时两小时十五分钟.
  价格在5,000-8,000元之间。 -> 价格在五千到八千元之间.
  传真(021)5566-7788。 -> 传真零二幺,五五六六七七八八.
  00后和95后 -> 零零后和九五后
  指数为35μg/m³ -> 指数为三十五微克每立方米
  约€20k -> 约二万欧元
  `,
);

describeTable(
  'parts of measures and sums as they are said',
  `
  13点05分开会 -> 十三点零五分开会
  身高1米75 -> 身高一米七五
  5米20厘米 -> 五米二十厘米
  3斤2两 -> 三斤二两
  ½杯水 -> 二分之一杯水
  1½杯水 -> 一又二分之一杯水
  北纬39.9° -> 北纬三十九点九度
  税率3‰ -> 税率千分之三
  100+200=300 -> 一百加二百等于三百
  3+5=8 -> 三加五等于八
  融资$3.5M，欠€20K -> 融资三百五十万美元,欠二万欧元
  √2≠1 -> 根号二不等于一
  Ⅲ期和第Ⅻ章 -> 三期和第十二章
  14:30:05开始 -> 十四点三十分零五秒开始
  07/15截止 -> 七月十五日截止
  `,
);

describeTable(
  'dates',
  `
  2024年5月20日 -> 二零二四年五月二十日
  2024年05月01日 -> 二零二四年五月一日
  86年8月18日 -> 八六年八月十八日
  2024-05-20 -> 二零二四年五月二十日
  2024/05/20 -> 二零二四年五月二十日
  2024.05.20 -> 二零二四年五月二十日
  2024/5/20 -> 二零二四年五月二十日
  2024-5-2 -> 二零二四年五月二日
  2024.5.20发布 -> 二零二四年五月二十日发布
  截至2024-05 -> 截至二零二四年五月
  2月 -> 二月
  2月14日 -> 二月十四日
  12月2日 -> 十二月二日
  02月 -> 二月
  2个月 -> 两个月
  2日 -> 两日
  3-5月 -> 三到五月
  5月1日-3日 -> 五月一日到三日
  5月1日-5月7日 -> 五月一日到五月七日
  5月200元 -> 五月二百元
  2023-2024年 -> 二零二三到二零二四年
  2023~2024年 -> 二零二三到二零二四年
  2023年-2024年 -> 二零二三到二零二四年
  90后 -> 九零后
  00后 -> 零零后
  20世纪80年代 -> 二十世纪八零年代
  二〇二四年 -> 二零二四年
  二○二四年 -> 二零二四年
  周一-周五 -> 周一到周五
`,
);

describeTable(
  'times and ratios',
  `
  9:30 -> 九点半
  09:05 -> 九点零五分
  9：30 -> 九点半
  23:59:59 -> 二十三点五十九分五十九秒
  24:00 -> 二十四点
  0:00 -> 零点
  8:30-17:30 -> 八点半至十七点半
  8:30-17:45 -> 八点半至十七点四十五分
  8:00-17:30 -> 八点至十七点三十分
  2:30pm -> 下午二点半
  am 9:00 -> 上午九点
  3:2 -> 三比二
  16:9 -> 十六比九
  1:100 -> 一比一百
  3:2:1 -> 三比二比一
  比分是21:15 -> 比分是二十一比十五
  以3:12落后 -> 以三比十二落后
  下午3:12到 -> 下午三点十二分到
`,
);

describeTable(
  'ranges and sums',
  `
  3-5天 -> 三到五天
  10-20人 -> 十到二十人
  1-2天 -> 一到两天
  100-200元 -> 一百到二百元
  6-12岁 -> 六到十二岁
  1.5-2.5万 -> 一点五到二点五万
  3~5天 -> 三到五天
  3～5天 -> 三到五天
  100～200人 -> 一百到二百人
  1万~2万元 -> 一万到两万元
  3.5亿-4亿元 -> 三点五亿到四亿元
  3—5天 -> 三到五天
  20~25℃ -> 二十到二十五度
  20℃~25℃ -> 二十度到二十五度
  -5℃~3℃ -> 零下五度到三度
  5%~10% -> 百分之五到百分之十
  50%-60% -> 百分之五十到百分之六十
  20-30% -> 百分之二十到百分之三十
  10-5 -> 十减五
  3-2=1 -> 三减二等于一
  1+1=2 -> 一加一等于二
  2×3=6 -> 二乘三等于六
  3×4×5=60 -> 三乘四乘五等于六十
  7*24小时 -> 七乘二十四小时
  2² -> 二的二次方
  2^10 -> 二的十次方
  1/2 -> 二分之一
  -1/2 -> 负二分之一
  3-501室 -> 三减五零幺室
`,
);

describeTable(
  'signs before numbers',
  `
  -1 -> 负一
  -15 -> 负十五
  -1.5 -> 负一点五
  −5 -> 负五
  -3.5% -> 负百分之三点五
  5％ -> 百分之五
  100% -> 百分之一百
  -3°C -> 零下三度
  98°F -> 九十八华氏度
`,
);

describeTable(
  'money',
  `
  ￥199 -> 一百九十九元
  ¥99.9 -> 九十九点九元
  ￥1,299.00 -> 一千二百九十九元
  ￥100-200 -> 一百到二百元
  ￥2 -> 两元
  ￥199元 -> 一百九十九元
  $50 -> 五十美元
  $3.5万 -> 三点五万美元
  50$ -> 五十美元
  US$20 -> 二十美元
  HK$100 -> 一百港元
  €30 -> 三十欧元
  £20 -> 二十英镑
  USD 50,000 -> 五万美元
  RMB100 -> 一百元
  5元/斤 -> 五元每斤
  ￥5/kg -> 五元每千克
  2000元 -> 二千元
  1.50元 -> 一点五零元
  1,299.00元 -> 一千二百九十九元
`,
);

describeTable(
  'counts and plain numbers',
  `
  2个 -> 两个
  第2个 -> 第二个
  第2名 -> 第二名
  第12个 -> 第十二个
  200多个 -> 二百多个
  100+个 -> 一百多个
  1,000 -> 一千
  12,345 -> 一万二千三百四十五
  1,234,567条 -> 一百二十三万四千五百六十七条
  1234567元 -> 一百二十三万四千五百六十七元
  10000 -> 一万
  满100减20 -> 满一百减二十
  50000 -> 五万
  2000 -> 二零零零
  2000年 -> 二零零零年
  1024 -> 幺零二四
  邮编100000 -> 邮编幺零零零零零
  拨打400电话 -> 拨打四零零电话
  每天2次 -> 每天两次
  120次 -> 一百二十次
  1234次列车 -> 幺二三四次列车
  600公里 -> 六百公里
  C919首飞 -> 九幺九首飞
  订单SO-20240520-001 -> 订单二零二四零五二零,零零幺
  ≥5kg -> 大于等于五千克
  负载率<80% -> 负载率小于百分之八十
  误差±2% -> 误差正负百分之二
  3.1415926 -> 三点一四一五九二六
  版本2.0.1 -> 版本二点零点一
  00078 -> 零零零七八
  １２３名 -> 一百二十三名
  ①②③ -> 一二三
`,
);

describeTable(
  'telephone numbers and codes',
  `
  13800138000 -> 幺三八零零幺三八零零零
  138-0013-8000 -> 幺三八,零零幺三,八零零零
  +86 13800138000 -> 八六幺三八零零幺三八零零零
  010-12345678 -> 零幺零,幺二三四五六七八
  0755-26881234 -> 零七五五,二六八八幺二三四
  021-5888 6666 -> 零二幺,五八八八,六六六六
  400-820-8820 -> 四零零,八二零,八八二零
  800-830-1234 -> 八零零,八三零,幺二三四
  ０１０－１２３４５６７８ -> 零幺零,幺二三四五六七八
  95588 -> 九五五八八
  110 -> 幺幺零
`,
);

describeTable(
  'units',
  `
  3mm -> 三毫米
  3.5mm -> 三点五毫米
  2mm -> 两毫米
  10 km -> 十千米
  60km/h -> 六十千米每小时
  5m/s -> 五米每秒
  100g -> 一百克
  5KG -> 五千克
  5kg -> 五千克
  3-5kg -> 三到五千克
  1.5L -> 一点五升
  250ml -> 二百五十毫升
  500MB -> 五百兆字节
  10GB -> 十吉字节
  12V -> 十二伏
  220V -> 二百二十伏
  60W -> 六十瓦
  50w粉丝 -> 五十万粉丝
  10W+ -> 十万多
  50Hz -> 五十赫兹
  2.4GHz -> 二点四吉赫兹
  5000mAh -> 五千毫安时
  24h -> 二十四小时
  10min -> 十分钟
  300ms -> 三百毫秒
  10s -> 十秒
  2m² -> 两平方米
  3m³ -> 三立方米
  100㎡ -> 一百平方米
  5km² -> 五平方千米
  30万km每秒 -> 三十万千米每秒
  5mg/次 -> 五毫克每次
  6.5L/100km -> 六点五升每一百千米
  55dB -> 五十五分贝
  100Ω -> 一百欧姆
  37.5℃ -> 三十七点五度
  36.5摄氏度 -> 三十六点五度
  3000r/min -> 三千转每分钟
`,
);

describeTable(
  'punctuation and letters',
  `
  你好，世界！ -> 你好,世界!
  真的？？！ -> 真的?
  等等...... -> 等等…
  好～ -> 好…
  《书》（上）：第一 -> 书上,第一
  嗯，好的 -> 恩,好的
  A/B测试 -> 测试
  方案一/方案二 -> 方案一,方案二
  和/或 -> 和或
  北京-上海 -> 北京,上海
  GPT-SoVITS模型 -> 模型
  T恤 -> 恤
  α波 -> 阿尔法波
  這個問題 -> 这个问题
  １２：３０ -> 十二点半
`,
);

describe('texts with nothing to read', () => {
  it.each(['', ' ', '😀🎉', '\u0000\u0007', 'ABC', '\ud800', '☆♪'])('leaves nothing of %j', (text) => {
    expect(normalizeChinese(text)).toBe('');
  });
});

describe('pause marks', () => {
  const withPauses = (text: string) => {
    const { normalizedText, pauseSymbol } = normalizeWithPauses(SourceText.of(text));
    return [normalizedText.text, pauseSymbol];
  };

  it('become commas and name the symbol of every comma', () => {
    expect(withPauses('你好￥世界')).toEqual(['你好,世界', 'SP2']);
    expect(withPauses('你好^世界')).toEqual(['你好,世界', 'SP3']);
  });

  it('are not made of a price', () => {
    expect(withPauses('只要￥9')).toEqual(['只要九元', null]);
  });
});

describe('reference list of numbers', () => {
  it('agrees with every suggested reading', () => {
    const lines = readFileSync(join(REFERENCE, 'text/zh_number_normalisation.jsonl'), 'utf8').trim().split('\n');
    const rows = lines.map((line) => JSON.parse(line) as { input: string; suggested?: string });
    const suggested = rows.filter((row) => row.suggested !== undefined);
    expect(suggested.length).toBeGreaterThan(0);
    for (const { input, suggested: spoken } of suggested) expect(normalizeChinese(input), input).toBe(spoken);
  });
});
