/** A text to be spoken. */
export interface EvaluationText {
  readonly language: 'zh' | 'en';
  readonly text: string;
}

/** CMU Arctic prompts that the recipe holds out: human recordings of them exist, the model never saw them. */
export const HELD_OUT_PROMPTS: readonly (readonly [key: string, text: string])[] = [
  ['b0003', 'I can see that knife now.'],
  ['b0010', 'He turned the map to Gregson, pointing with his finger.'],
  ['b0023', 'MacDougall, my engineer, believes it.'],
  ['b0027', "And there's no chivalry, no quarter shown in this fight."],
  ['b0030', 'Gregson held a lighted match until it burnt his fingertips.'],
  ['b0032', 'He caught himself with a jerk.'],
  ['b0065', 'Now have you got anything to say against me, Mr Philip.'],
  ['b0097', 'Besides, that noise makes me deaf.'],
  ['b0105', 'I know that you are in charge there, and Jeanne knows.'],
  ['b0121', 'I want my men to work by themselves.'],
  ['b0138', 'And then, steadily, he began to chew.'],
  ['b0215', 'It is a good property, and worth more than that.'],
  ['b0222', 'He was the leader, and Tudor was his lieutenant.'],
  ['b0228', 'You were engaged.'],
  ['b0235', 'Raoul yelled, in order to make himself heard.'],
  ['b0239', 'And there was a dog that barked.'],
  ['b0262', "Saxon's onto her job."],
  ['b0273', 'Then it was that a strange thing happened.'],
  ['b0326', 'Our Mr Howison will call upon you at your hotel.'],
  ['b0389', 'Among my minor afflictions, I may mention a new and mysterious one.'],
];

/** English of another kind than the prompts: what a customer hears. */
export const OWN_ENGLISH: readonly string[] = [
  'The weather is very good today.',
  'Please hold the line while I look up your account.',
  'Your order will arrive on Tuesday morning.',
  'Thank you for calling, how can I help you.',
  'I am sorry, but that room is no longer free.',
  'Would you like a cup of coffee or some tea.',
  'The train to the city leaves in ten minutes.',
  'We will send you a message when it is ready.',
  'Turn left at the church and walk down the hill.',
  'Nobody knows why the old man sold his house.',
];

/** Mandarin sentences; the model learnt from single words, so that any sentence is unseen. */
export const MANDARIN: readonly string[] = [
  '今天天气很好。',
  '请问您需要什么帮助？',
  '您的订单明天下午送到。',
  '我们正在查询您的账户。',
  '火车站离这里不远。',
  '他每天早上都去公园跑步。',
  '这本书的作者是一位医生。',
  '请把您的电话号码告诉我。',
  '会议从上午九点开始。',
  '孩子们在院子里唱歌跳舞。',
  '这家饭店的鱼做得非常好吃。',
  '昨天晚上下了一场大雨。',
  '老师让我们写一篇文章。',
  '请稍等，我马上为您处理。',
  '我想订一张去北京的机票。',
  '她的妹妹在银行工作。',
  '这个问题比较复杂，需要时间。',
  '春天到了，花都开了。',
  '感谢您的来电，再见。',
  '房间里的灯突然灭了。',
];

const MANDARIN_PATTERNS: readonly (readonly [pattern: string, fillings: readonly string[]])[] = [
  ['您好，请问要{}吗？', ['点菜', '退房', '充值', '换一件大的']],
  ['我们{}再联系您。', ['明天上午', '下个星期', '三天以后', '查清楚了']],
  ['这件{}多少钱？', ['衣服', '家具', '礼物', '红色的大衣']],
  ['他在{}等了半个小时。', ['门口', '机场', '医院', '学校对面']],
  ['请您先{}，然后按一。', ['输入密码', '核对姓名', '听完录音', '选择语言']],
  ['{}的时候要注意安全。', ['开车', '游泳', '爬山', '过马路']],
  ['我{}没有收到你的信。', ['一直', '今天', '到现在还', '上个月']],
  ['从这里到{}要走多久？', ['邮局', '图书馆', '地铁站', '海边']],
  ['{}已经为您办好了。', ['签证', '手续', '保险', '银行卡']],
  ['她{}地笑了。', ['高兴', '不好意思', '轻轻', '开心']],
  ['如果{}，我们就不去了。', ['下雨', '太晚', '没有票', '你不舒服']],
  ['{}的价格又涨了。', ['石油', '蔬菜', '房子', '电影票']],
  ['爸爸正在{}。', ['做饭', '看报纸', '修自行车', '给花浇水']],
  ['请在{}之前交上来。', ['周五', '月底', '中午十二点', '下课']],
  ['这条路{}很堵。', ['经常', '早上', '下班的时候', '一到周末就']],
  ['{}是他最喜欢的运动。', ['足球', '打乒乓球', '滑雪', '长跑']],
  ['您的{}有什么变化吗？', ['地址', '计划', '工作', '身体情况']],
  ['我觉得{}更合适。', ['这个办法', '蓝色的', '第二种', '坐飞机去']],
  ['奶奶给我讲了一个{}的故事。', ['很长', '有趣', '关于狐狸', '从前']],
  ['对不起，{}暂时没有货。', ['这个型号', '小号', '您要的书', '新鲜牛奶']],
];

const ENGLISH_PATTERNS: readonly (readonly [pattern: string, fillings: readonly string[]])[] = [
  ['Could you tell me {}?', ['your name', 'where the station is', 'how much it costs', 'when they will be back']],
  ['We have not received your {} yet.', ['letter', 'payment', 'answer', 'application form']],
  ['She put the {} on the table.', ['keys', 'bread and butter', 'heavy box', 'last of the flowers']],
  ['If you want to {}, press two.', ['speak to us', 'change your booking', 'hear this again', 'pay by card']],
  ['The {} was closed for the winter.', ['hotel', 'mountain road', 'garden', 'little shop on the corner']],
  ['He has been {} since Monday.', ['away', 'ill in bed', 'painting the fence', 'looking for his dog']],
  ['My {} lives near the sea.', ['brother', 'best friend', 'grandmother', 'teacher of music']],
  ['It is too {} to go outside.', ['cold', 'late', 'dark', 'wet and windy']],
  ['They talked about the {} all night.', ['war', 'price of oil', 'game', 'ship that never came home']],
  ['Your {} is ready now.', ['table', 'new passport', 'car', 'cup of tea']],
  ['Nothing in the {} was broken.', ['house', 'kitchen', 'old blue bag', 'whole of the second room']],
  ['Please leave a {} after the tone.', ['message', 'number', 'short message', 'name and a number']],
  ['The children ran {}.', ['home', 'into the river', 'across the field', 'up the stairs and out of sight']],
  ['I will {} as soon as I can.', ['call back', 'write to you', 'open the door', 'finish this piece of work']],
  ['There are {} people waiting.', ['three', 'about twenty', 'too many', 'more than two hundred']],
  ['Our {} opens at nine.', ['office', 'bank', 'library', 'swimming pool']],
  ['A {} stood behind the gate.', ['horse', 'tall man', 'policeman', 'woman with a white dog']],
  ['That {} belongs to my father.', ['watch', 'yellow coat', 'field', 'boat with the red sail']],
];

/** 100 Mandarin and 100 English texts of all lengths, to see whether generation ends. */
export function endingTexts(): EvaluationText[] {
  const filled = (patterns: typeof MANDARIN_PATTERNS) =>
    patterns.flatMap(([pattern, fillings]) => fillings.map((filling) => pattern.replace('{}', filling)));
  const chinese = [...MANDARIN, ...filled(MANDARIN_PATTERNS)];
  const english = [...HELD_OUT_PROMPTS.map(([, text]) => text), ...OWN_ENGLISH, ...filled(ENGLISH_PATTERNS)];
  return [
    ...chinese.slice(0, 100).map((text) => ({ language: 'zh' as const, text })),
    ...english.slice(0, 100).map((text) => ({ language: 'en' as const, text })),
  ];
}
