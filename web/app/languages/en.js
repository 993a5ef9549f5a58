/** English. ICU messages by key; see words.js. */
export default {
  'brand.name': 'Parley',
  'problem.home': 'Go to the home page',
  'problem.title': 'Something went wrong',
  'route.unknown': 'There is no page at this address.',
};
