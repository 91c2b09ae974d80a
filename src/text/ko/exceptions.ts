import type { SourceText } from '../source-text.js';

/**
 * Words that the sound rules alone read otherwise: ㄴ-insertion, tense onsets in compounds, assimilation against rule
 * (Standard Pronunciation articles 20, 26 to 30). Facts after the table of g2pK (Apache-2.0), on which the models were
 * trained; each entry is "written spoken".
 */
export function replaceExceptions(text: SourceText): SourceText {
  return text
    .replace(PATTERN, (word) => SPOKEN.get(word) ?? word)
    .replace(BEFORE_WORD, (_, prefix: string, syllable: string) => {
      // the coda is said as at an end, and that sound moves over: 첫아이 [처다이], 헛웃음 [허두슴]
      return `${prefix === '첫' ? '처' : '허'}${String.fromCharCode(syllable.charCodeAt(0) - (11 - 3) * 588)}`;
    })
    .replace(SUFFIX, (suffix) => SUFFIXES[suffix] ?? suffix);
}

/** 첫 and 헛 before a word that begins with a vowel other than those after which ㄴ comes in. Article 15. */
const BEFORE_WORD = /([첫헛])([아-앻어-엫오-옿우-웋])/g;
/** Sino-Korean suffixes on a word of its own keep ㄴ before ㄹ: 판단력 [판단녁]. Article 20. */
const SUFFIX =
  /(?<=판단|결단|표현|추진|실천|생산|구현|정신|회전)력|(?<=생산|운반|통신|교환|회전)량|(?<=음운|일원|다원|비관|낙관)론|(?<=등산)로/g;
const SUFFIXES: Readonly<Record<string, string>> = { 력: '녁', 량: '냥', 론: '논', 로: '노' };

const ENTRIES = `
의견란 의견난, 임진란 임진난, 생산량 생산냥, 결단력 결딴녁, 공권력 공꿘녁, 동원령 동원녕, 상견례 상견녜, 횡단로 횡단노,
이원론 이원논, 입원료 이붠뇨, 구근류 구근뉴,
갈등 갈뜽, 발동 발똥, 절도 절또, 말살 말쌀, 불소 불쏘, 일시 일씨, 갈증 갈쯩, 물질 물찔, 발전 발쩐, 몰상식 몰쌍식, 불세출 불쎄출,
문고리 문꼬리, 눈동자 눈똥자, 신바람 신빠람, 산새 산쌔, 손재주 손째주, 길가 길까, 물동이 물똥이, 발바닥 발빠닥, 굴속 굴쏙,
술잔 술짠, 바람결 바람껼, 그믐달 그믐딸, 아침밥 아침빱, 잠자리 잠짜리, 강가 강까, 초승달 초승딸, 등불 등뿔, 창살 창쌀, 강줄기 강쭐기,
물고기 물꼬기, 손등 손뜽, 발등 발뜽, 눈빛 눈삗, 달빛 달삗, 별빛 별삗, 불빛 불삗, 손길 손낄, 눈길 눈낄, 밤길 밤낄, 산길 산낄, 물결 물껼, 강바람 강빠람, 봄비 봄삐,
한여름 한녀름, 맛없 마덦, 멋없 머덦, 첫인상 처딘상, 첫인사 처딘사, 겉옷 거돋, 웃어른 우더른,
솜이불 솜니불, 홑이불 혼니불, 막일 망닐, 삯일 상닐, 맨입 맨닙, 꽃잎 꼰닙, 내복약 내봉냑, 색연필 생년필, 직행열차 지캥녈차,
늑막염 능망념, 콩엿 콩녇, 담요 담뇨, 눈요기 눈뇨기, 영업용 영엄뇽, 식용유 시굥뉴, 국민윤리 궁민뉼리, 밤윳 밤뉻,
이죽이죽 이중니죽, 야금야금 야금냐금, 검열 검녈, 욜랑욜랑 욜랑뇰랑, 금융 금늉, 들일 들릴, 솔잎 솔립, 설익다 설릭따, 물약 물략,
불여우 불려우, 서울역 서울력, 물엿 물렫, 휘발유 휘발류, 유들유들 유들류들, 한일 한닐, 옷입다 온닙따, 서른여섯 서른녀섣,
먹은엿 머근녇, 할일 할릴, 잘입다 잘립따, 스물여섯 스물려섣, 먹을엿 머글렫, 송별연 송벼련, 등용문 등용문,
냇가 내까, 샛길 새낄, 빨랫돌 빨래똘, 콧등 코뜽, 깃발 기빨, 대팻밥 대패빱, 햇살 해쌀, 뱃속 배쏙, 뱃전 배쩐, 고갯짓 고개찓,
콧날 콘날, 아랫니 아랜니, 툇마루 퇸마루, 뱃머리 밴머리, 베갯잇 베갠닏, 깻잎 깬닙, 나뭇잎 나문닙, 도리깻열 도리깬녈, 뒷윷 뒨뉻,
할걸 할껄, 할밖에 할빠께, 할세라 할쎄라, 할수록 할쑤록, 할지라도 할찌라도, 할지언정 할찌언정, 할진대 할찐대,
디귿이 디그시, 디귿을 디그슬, 디귿에 디그세, 지읒이 지으시, 지읒을 지으슬, 지읒에 지으세, 치읓이 치으시, 치읓을 치으슬, 치읓에 치으세,
키읔이 키으기, 키읔을 키으글, 키읔에 키으게, 티읕이 티으시, 티읕을 티으슬, 티읕에 티으세, 피읖이 피으비, 피읖을 피으블, 피읖에 피으베,
히읗이 히으시, 히읗을 히으슬, 히읗에 히으세`;

const SPOKEN = new Map(
  ENTRIES.split(',').map((entry): [string, string] => {
    const [written = '', spoken = ''] = entry.trim().split(' ');
    return [written, spoken];
  }),
);
const PATTERN = new RegExp([...SPOKEN.keys()].sort((a, b) => b.length - a.length).join('|'), 'g');
