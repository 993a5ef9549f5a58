/**
 * An ESLint rule: texts for people belong in the catalogues of app/languages, not in code. It finds text in the children
 * of `h()`, in attributes that are shown or read aloud, where text is set, and sentences anywhere.
 */
const SHOWN = new Set(['title', 'alt', 'placeholder', 'aria-label', 'label', 'hint', 'action']);
const SETTERS = new Set(['toast', 'ask', 'field', 'choice', 'check', 'iconButton', 'setText']);
const LETTERS = /\p{L}{2}/u;
const SENTENCE = /^\p{Lu}\p{Ll}*'?\p{Ll}* \p{Ll}|\p{L}{2} \p{L}+ \p{L}+.*[.?!…]$/u;
/** Keys of the catalogues, and names that are not prose. */
const KEY = /^[a-z0-9-]+(\.[A-Za-z0-9_-]+)+$|^[a-z0-9-]+$/;

/** @param {any} node @returns {string} the text of a literal or template, '' for other nodes */
function textOf(node) {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node?.type === 'TemplateLiteral') return node.quasis.map((/** @type {any} */ part) => part.value.cooked).join('');
  return '';
}

export default {
  meta: { type: 'problem', schema: [], messages: { words: 'Text for people belongs in app/languages: {{text}}' } },
  /** @param {any} context */
  create(context) {
    /** @param {any} node @param {(text: string) => boolean} bad */
    const look = (node, bad) => {
      if (node?.type === 'ConditionalExpression') return void (look(node.consequent, bad), look(node.alternate, bad));
      if (node?.type === 'LogicalExpression') return void look(node.right, bad);
      const text = textOf(node);
      if (bad(text)) context.report({ node, messageId: 'words', data: { text } });
    };
    /** @param {string} text */
    const shown = (text) => LETTERS.test(text);
    return {
      /** @param {any} node */
      CallExpression(node) {
        const name = node.callee.name ?? '';
        if (name === 'h') node.arguments.slice(2).forEach((/** @type {any} */ child) => look(child, shown));
        if (SETTERS.has(name)) node.arguments.forEach((/** @type {any} */ argument) => look(argument, (text) => shown(text) && !KEY.test(text)));
      },
      /** @param {any} node */
      Property(node) {
        if (SHOWN.has(node.key.value ?? node.key.name)) look(node.value, (text) => shown(text) && !KEY.test(text));
      },
      /** @param {any} node */
      AssignmentExpression(node) {
        if (['textContent', 'title', 'placeholder', 'innerText'].includes(node.left.property?.name)) look(node.right, shown);
      },
      /** @param {any} node */
      Literal(node) {
        if (typeof node.value === 'string' && node.parent.type !== 'ImportDeclaration' && SENTENCE.test(node.value)) {
          context.report({ node, messageId: 'words', data: { text: node.value } });
        }
      },
    };
  },
};
