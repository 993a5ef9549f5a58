/** `/api/docs`: browses the OpenAPI document of this server. It loads nothing from other hosts. */
import { h } from '/app/dom.js';

const docs = /** @type {HTMLElement} */ (document.getElementById('docs'));
const MAX_DEPTH = 8;

async function show() {
  const answer = await fetch('/api/v1/openapi.json');
  const api = await answer.json();
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const tags = [...new Set(operations.map((one) => one.operation.tags[0]))];
  const find = h('input', { class: 'input', type: 'search', placeholder: 'Find a path or a word', 'aria-label': 'Find' });
  const sections = tags.map((tag) => h('section', {}, h('h2', {}, tag),
    ...operations.filter((one) => one.operation.tags[0] === tag).map((one) => described(api, one))));
  find.addEventListener('input', () => narrow(sections, find.value.toLowerCase()));
  docs.replaceChildren(
    h('h1', {}, `${api.info.title} API ${api.info.version}`),
    h('p', {}, 'Generated from the types of this server. As JSON: ', h('a', { href: '/api/v1/openapi.json' }, '/api/v1/openapi.json'), '.'),
    find, ...sections);
}

/** @param {HTMLElement[]} sections @param {string} text */
function narrow(sections, text) {
  for (const section of sections) {
    const rows = /** @type {HTMLElement[]} */ ([...section.querySelectorAll('details[data-text]')]);
    for (const row of rows) row.hidden = !row.dataset.text?.includes(text);
    section.hidden = rows.every((row) => row.hidden);
  }
}

/** @param {any} api the document @param {{path: string, method: string, operation: any}} one */
function described(api, { path, method, operation }) {
  const row = h('details', { class: 'card', 'data-text': `${method} ${path} ${operation.summary}`.toLowerCase() },
    h('summary', {}, h('code', { class: 'method' }, method.toUpperCase()), h('code', {}, path), h('div', { class: 'hint' }, operation.summary)));
  row.addEventListener('toggle', () => {
    if (row.open && row.children.length === 1) row.append(...details(api, operation));
  });
  return row;
}

/** @param {any} api @param {any} operation */
function details(api, operation) {
  const parameters = operation.parameters.map((/** @type {any} */ one) =>
    h('li', {}, h('code', {}, one.name), ` in ${one.in}${one.required ? ', required' : ''}: `, h('code', {}, JSON.stringify(expanded(api, one.schema)))));
  const body = operation.requestBody?.content['application/json']?.schema;
  return [
    operation.description && h('p', {}, operation.description),
    h('p', { class: 'hint' }, operation.security ? 'Requires a session, a token or an API key.' : 'Requires no sign-in.'),
    parameters.length > 0 && h('ul', {}, ...parameters),
    body && h('h3', {}, 'Body'),
    body && schema(api, body),
    ...Object.entries(operation.responses).flatMap(([status, response]) => [
      h('h3', {}, `${status}: ${response.description}`),
      ...Object.entries(response.content ?? {}).map(([type, content]) =>
        content.schema ? schema(api, content.schema) : h('p', { class: 'hint' }, type)),
    ]),
  ].filter(Boolean);
}

/** @param {any} api @param {any} value */
function schema(api, value) {
  return h('pre', {}, JSON.stringify(expanded(api, value), null, 2));
}

/**
 * A schema with its references filled in, to a depth that can be read.
 * @param {any} api @param {any} value @param {number} [depth] @returns {any}
 */
function expanded(api, value, depth = 0) {
  if (Array.isArray(value)) return value.map((one) => expanded(api, one, depth));
  if (value === null || typeof value !== 'object') return value;
  if (value.$ref) {
    const name = value.$ref.split('/').pop();
    return depth < MAX_DEPTH ? expanded(api, api.components.schemas[name], depth + 1) : name;
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, expanded(api, inner, depth)]));
}

show().catch((error) => docs.replaceChildren(h('p', { class: 'problem', role: 'alert' }, error.message)));
