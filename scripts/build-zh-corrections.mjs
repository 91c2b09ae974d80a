/**
 * Makes `src/text/zh/data/corrected-words.txt`: words whose reading in pypinyin's tables (which read every word outside
 * their phrase list by each character's first reading: 照片 pian1, 全长 zhang3, 视为 wei4) is wrong, with the right one.
 *
 *   npm install --prefix tables --no-save @pinyin-pro/data@1.3.1      (ISC)
 *   npx tsx scripts/build-zh-corrections.mjs tables                   (tables as for build-zh-data.mjs)
 *
 * The dictionary proposes; the review below, made by hand for each direction of change, decides. A word must be in
 * jieba's dictionary with a frequency of at least 3, because only whole words of the segmentation are looked up.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readWord, spell } from '../src/text/zh/syllables.ts';

const tables = process.argv[2];
if (!tables) throw new Error('usage: npx tsx scripts/build-zh-corrections.mjs FOLDER_OF_TABLES');
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Accepted changes: `character from>to`, and what of it is refused (`!pattern`) or alone accepted (`=pattern`). */
const REVIEW = `
为 wei4>wei2 !人人为
长 zhang3>chang2 !家之长|族之长
蒙 meng2>meng3
场 chang2>chang3 =登场|外场|大干一场
分 fen4>fen1 !坏分|劣分|步分|毒分|后分|守分|其分|股分|^分子$
鲜 xian1>xian3
勒 lei1>le4 !勒马
行 xing2>hang2 !^一行$|行商|吴中行|杨行密
只 zhi3>zhi1
都 dou1>du1
差 cha4>cha1 !相差
干 gan4>gan1 =干重|干湿|干热|乌干达|塔什干|松赞干布|干椒|椰干|干面|干将
少 shao3>shao4
大 da4>dai4 =大夫
卷 juan3>juan4
卷 juan4>juan3
塞 sai1>sai4
耶 ye2>ye1
重 zhong4>chong2
片 pian1>pian4 !儿
冠 guan1>guan4 =冠以|连冠|双冠王|冠亚军|吴冠中|英冠
什 shen2>shi2
曲 qu1>qu3 =曲$ !舟曲|河曲
曲 qu3>qu1 =曲张
应 ying1>ying4
肚 du3>du4
朝 chao2>zhao1 =朝花夕拾|朝九晚五|朝闻道
朝 zhao1>chao2 =朝阳[门区市医县路镇]
脊 ji2>ji3
佛 fu2>fo2
相 xiang1>xiang4
甸 dian1>dian4
肖 xiao4>xiao1 =^肖
调 diao4>tiao2
岗 gang3>gang1
藏 cang2>zang4 !库藏
将 jiang1>jiang4
舍 she3>she4
框 kuang1>kuang4
倒 dao4>dao3 !^倒(?!底)
倒 dao3>dao4 =倒序|倾倒垃圾|倒栽葱
处 chu4>chu3
处 chu3>chu4
中 zhong1>zhong4
转 zhuan3>zhuan4 !^转动$|转得
转 zhuan4>zhuan3
寻 xin2>xun2
发 fa1>fa4 =染发|美发|发丝|发梢|毫发|银发|假发|乌发|发簪|白发|黑发|长发|短发|秀发|金发
发 fa4>fa1 =散发
粘 zhan1>nian2
落 la4>luo4
种 zhong3>zhong4
尽 jin3>jin4 !尽速
划 hua4>hua2 =划破|划水|划伤|划痕
传 chuan2>zhuan4 =白蛇传|新传$|全传$
载 zai4>zai3 !荷载
葛 ge2>ge3
曾 ceng2>zeng1 =^曾(?:国|宝仪|志伟|荫权|子墨|侯乙|巩|仕强|母暗沙|文正|都|朴)
切 qie4>qie1
切 qie1>qie4
琢 zhuo2>zuo2 =^琢磨
颇 po3>po1
朴 piao2>pu3
朴 pu3>piao2
散 san4>san3 =散打|散货|散手|散养|逍遥散
血 xie3>xue4
行 hang2>xing2
华 hua2>hua4 =华国锋|华罗庚|华阴|华君武|华县|西岳华山
似 shi4>si4 !也似
弹 dan4>tan2 !实弹
踏 ta4>ta1
任 ren4>ren2 =^任(?:弼时|正非|志强|盈盈|贤齐|达华|长霞|县|丘|继愈|伯年)
分 fen1>fen4 !产生分|是非分
哮 xiao1>xiao4
量 liang4>liang2 !容量|雨量
重 chong2>zhong4 =重头
燕 yan4>yan1
薄 bao2>bo2 !薄[被荷]
拚 pan4>pin1
泊 po1>bo2
萎 wei1>wei3
奔 ben1>ben4
冲 chong1>chong4
率 lv4>shuai4 !放大率
少 shao4>shao3 !少东家|少掌柜|少管所
给 gei3>ji3
乐 le4>yue4
混 hun4>hun2
累 lei3>lei2
累 lei4>lei3
旋 xuan2>xuan4
帖 tie1>tie3
撒 sa1>sa3 !撒丁|撒马尔|尼撒|利撒|睦尔撒|西撒|马撒|布撒|弥撒|撒娇|撒痴|撒科|酒风|撒丫|撒鸭|撒骚|撒豪|撒诈|梦撒|撒奸|搭撒|来撒
椎 chui2>zhui1
斗 dou4>dou3
澎 peng1>peng2
铺 pu4>pu1
更 geng1>geng4 =更深一层|更上一层
数 shu4>shu3
幢 chuang2>zhuang4
茄 jia1>qie2
鹘 gu3>hu2
结 jie2>jie1 =结出|结果实|开花结果
掺 can4>chan1
咀 ju3>zui3
只 zhi1>zhi3
晟 cheng2>sheng4
为 wei2>wei4 =人人为我|我为人人
子 zi5>zi3 !子口|瓜子|架子|梁子|花子|小桂子|拐子|小玄子|羊子庙|桌子|孩子
查 cha2>zha1 =^查(?:良镛|慎行|继佐|伊璜|志隆|小欣|丽华)
峒 dong4>tong2
汗 han2>han4
茸 rong1>rong2
背 bei4>bei1
还 hai2>huan2
晕 yun1>yun4
没 mei2>mo4
桧 gui4>hui4
好 hao4>hao3 =不怀好意
好 hao3>hao4 =偏好|好赌|好静
脏 zang4>zang1
担 dan1>dan4
摒 bing3>bing4
待 dai4>dai1 =待会儿
炔 gui4>que1
挣 zheng1>zheng4
打 da3>da2
差 cha4>chai1
尾 yi3>wei3
挨 ai1>ai2
撇 pie1>pie3 =撇嘴|一撇|两撇|撇捺|撇撇嘴
磨 mo2>mo4
炸 zha4>zha2 =炸[鸡薯麻子豆肉]
压 ya1>ya4
菲 fei1>fei3
骨 gu2>gu3
咽 yan4>yan1
悄 qiao1>qiao3
砝 fa2>fa3
伺 ci4>si4
济 ji4>ji3
坊 fang1>fang2
角 jiao3>jue2
空 kong1>kong4 =空当
翟 di2>zhai2
漯 ta4>luo4
参 can1>shen1 =玄参|刺参|山参|沙参
圈 quan1>juan4
得 dei3>de2 =在必得
台 tai2>tai1
脯 pu2>fu3
创 chuang4>chuang1
`;

const review = new Map(
  REVIEW.trim()
    .split('\n')
    .map((line) => {
      const [character, change, ...patterns] = line.split(' ');
      const pattern = (mark) => {
        const found = patterns.find((candidate) => candidate.startsWith(mark));
        return found ? new RegExp(found.slice(1)) : null;
      };
      return [`${character} ${change}`, { only: pattern('='), never: pattern('!') }];
    }),
);

const frequencies = new Map(
  readFileSync(join(tables, 'jieba/dict.txt'), 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .map(([word, frequency]) => [word, Number(frequency)]),
);
const proposed = JSON.parse(readFileSync(join(tables, 'node_modules/@pinyin-pro/data/json/complete.json'), 'utf8'));

const lines = [];
for (const [word, [pinyin]] of Object.entries(proposed)) {
  if (!/^[\u4e00-\u9fa5]{2,6}$/.test(word) || !(frequencies.get(word) >= 3)) continue;
  const theirs = pinyin.split(' ').map(withToneDigit);
  const ours = readWord(word).map(spell);
  if (theirs.length !== ours.length) continue;
  const changes = ours.flatMap((from, i) => {
    const verdict = review.get(`${word[i]} ${from}>${theirs[i]}`);
    const accepted = verdict && !verdict.never?.test(word) && (verdict.only?.test(word) ?? true);
    return accepted ? [`${i}${theirs[i]}`] : [];
  });
  if (changes.length > 0) lines.push(`${word} ${changes.join(' ')}`);
}
lines.sort();
writeFileSync(join(ROOT, 'src/text/zh/data/corrected-words.txt'), `${lines.join('\n')}\n`);
process.stdout.write(`corrected-words.txt: ${lines.length} words\n`);

function withToneDigit(pinyin) {
  let tone = 5;
  let base = '';
  for (const character of pinyin.normalize('NFD')) {
    const mark = '\u0304\u0301\u030c\u0300'.indexOf(character);
    if (mark >= 0) tone = mark + 1;
    else if (character === '\u0308') base = `${base.slice(0, -1)}v`;
    else if (character !== '\u0302') base += character;
  }
  return base + tone;
}
