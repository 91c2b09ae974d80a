import { codaOf, type SyllableRole } from './hangul.js';

/**
 * What the sound rules must know of each character's word: the last syllable of a stem (신고 [신꼬] against the noun
 * 신고 [신고]) and a verb's -(으)ㄹ before the noun it describes (할 수 [할 쑤] against 오늘 밤 [오늘 밤]). Decided by lists
 * of stems, endings and the nouns that follow, without a tagger. One entry per character.
 */
export function wordRoles(text: string): (SyllableRole | null)[] {
  const roles = new Array<SyllableRole | null>(text.length).fill(null);
  const words = text.split(' ');
  let start = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const last = start + word.length - 1;
    if (
      word !== '' &&
      codaOf(text.charAt(last)) === 'ㄹ' &&
      isModifier(word.slice(-8), (words[i + 1] ?? '').slice(0, 8))
    ) {
      roles[last] = 'modifier';
    }
    start += word.length + 1;
  }
  for (const match of text.matchAll(STEMS)) roles[match.index + match[0].length - 1] = 'stem';
  return roles;
}

/** Whether a word that ends in ㄹ describes the next one as a verb form. */
function isModifier(word: string, next: string): boolean {
  if (!/^[가깋-깧거-깋고-깋구-깋그-깋기-깋다-딯바-빟사-싷자-짛가-깋]/.test(next)) return false;
  const last = word.slice(-1);
  const head = HEAD.test(next);
  if (last === '을')
    return codaOf(word.slice(-2, -1)) === 'ㅆ' || SURE_EUL.test(word) || (head && LIKELY_EUL.test(word));
  if (last === '를') return head && REUL.test(word);
  if (NUMERAL_AND_COUNTER.test(`${word} ${next}`)) return false;
  if (word === '살' && /^[길돈집]/.test(next)) return true;
  if (head && HEAD_VERBS.test(word) && !NOUNS.test(word)) return true;
  return VERBS.test(word) && !NOUNS.test(word);
}

/** Nouns that a describing verb usually stands before. */
const HEAD =
  /^(?:것|거(?:$|[^가-힣]|[야예지나다라였든고니면란죠에])|(?:게|걸|건|바|적|법|줄|수|데|지|곳|점)(?![가-힣])|게요|걸요|건[지가데]|겁[니나]|수[가는도를나밖만조]|데[가는도에까]|듯|줄[은을도로만]|지[도는](?![가-힣]{2})|바[를가는에와]|적[이은에도](?!다)|정도|경우|가능성|계획|생각[이을입]|곳[이은을에도]|시간|사람|방법|법[이은도](?![가-힣])|셈|작정|자신[이은]|기회|권리|권한|도리|자격|동안|당시|기세|겨를|전망|방침|조짐)/;

/** Stems before 을 that no noun shares. */
const SURE_EUL =
  /(?:않|많|끊|괜찮|잃|싫|옳|앓|끓|뚫|꿇|닳|좋|놓|넣|쌓|닿|싶|없|같|읽|앉|얹|밟|넓|짧|얇|젊|닮|굶|옮|늙|밝|맑|붉|굵|긁|핥|훑|먹|받|얻|믿|찾|잡|겪|꺾|묶|섞|볶|깎|닦|엮|낚|앗|비웃|벗|씻|빗|솟|쫓|좇|꽂|찢|잊|찍|높|깊|갚|덮|엎|뽑|씹|접|돕|굽|굳|쏟|닫|뱉|붙|맡|얕|짙|늦|맺|찾|꾸짖|짖|맞|썩|죽|뿜|머금|다듬|더듬|^(?:웃|녹|넘))을$/;
/** Stems before 을 that are nouns too; a following head decides. */
const LIKELY_EUL =
  /(?:^(?:속|숨|참|남|품|심|삼|담|감|안|신|입|업|막|들|물|걸|실|지|모|작|적|낮|집|이|나|부|저|박|도|누)|쏟아지|나아|알아들|갈아입|이어받|끌어모|주워담)을$/;
/** Verbs on -르. */
const REUL =
  /^(?:떠|타|뛰어|들어|솟아|치)?오를$|^(?:따|모|고|누|흐|기|마|바|찌|자|나|부|이|두|치|가|빠|다|푸|게으|서두|머무|무찌|저지|앞지|어지|거스|문지|주무|잘못 ?부)를$|(?:서두|머무|저지|앞지|거스|뒤따|잇따|골라|엎지|무찌)를$/;

/** Last syllables of verb forms. */
const VERBS =
  /(?:[할될볼쓸댈뵐챌튈쬘잴뗄땔꿸깰괼켤뀔맬캘낄뛸갤썰쥘펼뜰낼눌뺄꿀끌깔샐빌떨릴룰킬닐힐쁠럴쉴갈알줄질팔멜띌띨쏠찔앨밀겨실플클]|울|울릴|만들|힘들|흔들|떠들|줄어들|늘어들|찾아들|받아들|물들|길들|거들|잠들|모여들|스며들|파고들|끼어들|[가-힣]올|[가-힣]칠|나타날|일어날|만날|끝날|그만둘|내버려둘|떠날|생겨날|벗어날|지날|늘어날|드러날|태어날|살아날|생각날|물러날|깨어날|자랄|모자랄|바랄|놀랄|보일|쓰일|줄일|높일|붙일|먹일|움직일|섞일|기울일|받아들일|끓일|속일|죽일|숙일|보여줄|맞출|갖출|늦출|멈출|감출|들출|낮출|비출|춤출|배울|달릴|걸릴)$/;
/** Verb forms that only a following noun of the kind above tells from nouns. */
const HEAD_VERBS = /(?:[일올살잘날들길열둘걸실늘말돌불풀놀몰벌칠털널밀졸빨얼쌀])$/;
/** 열 사람, 둘 사이: a numeral, not the verbs 열다 and 둘다. */
const NUMERAL_AND_COUNTER = /(?:^| )(?:열|스물|일|칠|팔|둘) (?:사람|시간|자리|개|권|대|달|장|군데)/;
/** Nouns, adverbs and counters that end like verb forms. */
const NOUNS = new RegExp(
  `(?:^(?:제일|단일|종일|과일|통일|동일|유일)|[십]칠|[한두세네여섯덟곱홉열물른흔쉰무]살|[0-9]일|[이삼사오육칠팔구십]일|${alternatives(`
  분할 역할 관할 서울 겨울 거울 저울 방울 개울 여울 너울 오늘 하늘 바늘 마늘 그늘 비늘 오솔길 큰길 갈길 눈길 손길 발길 산길 골목길 지름길 출근길 퇴근길 색칠 새알 쌀알 총알
  콩알 눈알 낱알 메일 이메일 파일 스타일 타일 프로필 물질 품질 성질 재질 본질 체질 기질 양질 단백질 이물질 악질 바느질 살살 햇살 주름살 물살 화살 창살 뱃살 생활 밧줄 핏줄
  탯줄 거미줄 한줄 두줄 동아줄 사실 현실 교실 거실 침실 진실 확실 손실 과실 화장실 사무실 회의실 연구실 병실 욕실 결실 부실 성실 절실 충실 구실 미용실 응급실 밀실 비밀 세밀
  긴밀 은밀 치밀 친밀 스킬 채널 터널 패널 제널 배달 다음달 지난달 한달 두달 세달 전달 발달 메달 도달 조달 미달 연말 주말 정말 거짓말 양말 결말 반말 분말 종말 한국말 우리말
  서말 오늘날 설날 옛날 첫날 명절날 생일날 훗날 칼날 어느날 그날 이날 친구들 사람들 아이들 학생들 우리들 그들 너희들 자식들 여러분들 직원들 고객들 회원들 반들 버들 바들 배열
  나열 진열 정렬 행렬 가열 과열 균열 예열 발열 이불 환불 선불 후불 등불 불불 횃불 촛불 산불 들불 로켓볼 축구볼 핸드볼 풋볼 재벌 형벌 처벌 체벌 징벌 학벌 파벌 양벌 한벌
  두벌 덩굴 얼굴 동굴 발굴 공휴일 휴일 생일 매일 내일 요일 평일 균일 독일 기일 당일 익일 볼일 큰일 집안일 별일 마일 네일 레일 칵테일 세일 테이블 케이블 심플 샘플 애플 커플
  트리플 피플 와이파이플 티클 아티클 사이클 바이클`)})$`,
);

/**
 * Stems whose last coda tenses an ending, and the ending behind them. ㄴ and ㅁ stems are listed with the endings that
 * no noun shares with them; double codas are those of stems alone.
 */
const STEMS = new RegExp(
  [
    '(?:[앉얹읽낡맑밝붉늙굵긁얽갉묽짧얇떫엷밟핥훑젊닮삶]|(?<![가-힣]서)넓)(?=고|다|지(?!기)|게|거|습|소|던|도록|든|더|자|겠|기(?!다|고|며|는다|었|겨|지|세|시|려|면)|구|니|네|는)',
    '(?:[굶곪옮](?!기)|남|넘|머금|다듬|더듬|보듬|서슴|담|숨|품|뿜|껴안|끌어안|떠안|얼싸안|말미암)(?=고|다(?!음|양|량|운)|지(?!기)|게|거나|거든|습니|소서|던|도록|든지|더라|더니|자마자|겠)',
    '(?<![가-힣])(?:참(?!고\\s(?:자료|문헌|서적|사항|하))|심|삼|안|감|검)(?=고(?:\\s|$)|고는|다가|지 |지만|지도|지는|습니|던|도록|게 |겠|거나)',
    '(?<=(?:신발|구두|양말|운동화|슬리퍼|장화|부츠|스타킹)[을를]\\s)신(?=고|다|지|겠|습|던|도록)',
  ].join('|'),
  'g',
);

function alternatives(words: string): string {
  return words.trim().replace(/\s+/g, '|');
}
