/**
 * The tone of 一 at a position of a segment where upstream's word-by-word rule gets it wrong: ordinals and digits said one
 * by one keep tone 1 (一月一日, 一号线, 一等奖, 一九九八年, 零点二一, 统一标准), 一千, 一万, 一亿 change it. undefined elsewhere.
 */
export function toneOfYi(segment: string, at: number): 1 | 2 | 4 | undefined {
  if (segment[at] !== '一') return undefined;
  const before = segment.slice(Math.max(0, at - 3), at);
  const after = segment.slice(at + 1, at + 5);
  if (/[第十零]$|[零一二三四五六七八九十]比$/.test(before)) return 1;
  if (isDigitByDigit(before, after) || isOrdinal(before, after)) return 1;
  if (/(?:统|唯|单|专|逐|周|星期|礼拜)$/.test(before) || isJustInCase(before, after)) return 1;
  if (isDecimalDigit(segment, at)) return 1;
  // 一万一千一百: what a rank of its own precedes is changed like the first of a number
  if (NUMERAL_BEFORE.test(before) && !(/[万亿千百]$/.test(before) && /^[百千万亿]/.test(after))) return undefined;
  if (/^[百千]/.test(after)) return 4;
  if (/^[万亿]/.test(after)) return 2;
  return undefined;
}

const DIGIT = '[零一二三四五六七八九幺]';
const NUMERAL_BEFORE = /[零一二三四五六七八九十百千万亿两点]$/;
const DIGITS_AFTER = new RegExp(`^[零二三四五六七八九幺]${DIGIT}`);
const ONE_DIGIT_AFTER = new RegExp(`^${DIGIT}`);
const ONE_DIGIT_BEFORE = new RegExp(`${DIGIT}$`);
const DECIMALS_BEFORE = new RegExp(`[零一二三四五六七八九十百千万亿]点${DIGIT}{1,8}$`);
const DIGITS_BEFORE = new RegExp(`${DIGIT}{2}$`);

function isDigitByDigit(before: string, after: string): boolean {
  if (after.startsWith('五一十') || before.endsWith('一五')) return false; // 一五一十
  if (DIGITS_AFTER.test(after) || (ONE_DIGIT_BEFORE.test(before) && ONE_DIGIT_AFTER.test(after))) return true;
  return DIGITS_BEFORE.test(before) && after.startsWith('年');
}

/** A digit behind the point of a decimal, but not 三点一起 or 八点一刻, which are hours. */
function isDecimalDigit(segment: string, at: number): boolean {
  const before = segment.slice(Math.max(0, at - 12), at);
  if (DECIMALS_BEFORE.test(before)) return true;
  if (!/[零一二三四五六七八九十百千万亿]点$/.test(before)) return false;
  return /(?:百分之.{1,8}|零)点$/.test(before) || new RegExp(`^(?:${DIGIT}|[,.!?…]|$)`).test(segment.slice(at + 1));
}

function isOrdinal(before: string, after: string): boolean {
  if (
    /^(?:月|号|楼|等[奖功品座舱兵公]|年级|期(?:工程|项目|建设)|线(?:城市|员工|工人|医|教师|品牌|明星|人员|岗位|大厂|记者))/.test(
      after,
    )
  ) {
    return true;
  }
  if (after.startsWith('日')) return before.endsWith('月');
  if (after.startsWith('级')) return !/[高低上下升降每这那差]$/.test(before) && after[1] !== '一';
  return /[高初大]$/.test(before) && /^(?:新生|学生|上学期|下学期|年级|男生|女生|暑假|寒假)/.test(after);
}

/** 万一 "in case", which is no number: 万一出了问题. */
function isJustInCase(before: string, after: string): boolean {
  return before.endsWith('万') && !/[零一二三四五六七八九十百千亿两几数.]万$/.test(before) && !/^[千百十]/.test(after);
}
