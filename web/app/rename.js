/** The dialog that changes a name in a call. Loaded when it is first opened. */
import { showForm } from './dialogs.js';
import { field, form } from './fields.js';
import { t } from './words.js';

/** @param {string} name @param {(name: string) => Promise<unknown>} rename */
export function showRename(name, rename) {
  const { element, input } = field(t('prejoin.name'), { value: name, required: true, maxlength: 200, autocomplete: 'off' });
  return showForm(t('people.rename-title'), (close) => [form({
    action: t('action.save'),
    submit: async () => {
      await rename(input.value.trim());
      close();
    },
  }, element)]);
}
