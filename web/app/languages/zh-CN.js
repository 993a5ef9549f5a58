/** Simplified Chinese. ICU messages by key; see words.js. */
export default {
  'brand.name': 'Parley',
  'problem.home': '返回首页',
  'problem.title': '出错了',
  'route.unknown': '该地址没有对应的页面。',
};
