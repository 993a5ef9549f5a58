/** Webhooks, for servers in JavaScript: checks that a delivery comes from Parley. Needs only Web Crypto. */

const TOLERANCE_SECONDS = 300;

/**
 * Return the event of a delivery if its `X-Parley-Signature` is valid and recent; throws otherwise. While a secret is being
 * rotated, the header has a signature by the new secret and one by the old; either is accepted.
 * @param {string} secret @param {string|null|undefined} signature @param {string} body as received
 * @param {number} [now] Unix time in seconds
 * @returns {Promise<{id: number, kind: string, seq: number, at: string, data: any}>}
 */
export async function verifyWebhook(secret, signature, body, now = Date.now() / 1000) {
  const fields = (signature ?? '').split(',').map((field) => field.split('='));
  const at = fields.find(([name]) => name === 't')?.[1] ?? '';
  if (!/^\d+$/.test(at) || Math.abs(now - Number(at)) > TOLERANCE_SECONDS) throw new Error('the signature is too old, or has no time');
  const bytes = new TextEncoder();
  const key = await crypto.subtle.importKey('raw', bytes.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  for (const [name, value] of fields) {
    if (name !== 'v1' || !/^([0-9a-f]{2})+$/.test(value ?? '')) continue;
    const given = Uint8Array.from(value.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    if (await crypto.subtle.verify('HMAC', key, given, bytes.encode(`${at}.${body}`))) return JSON.parse(body);
  }
  throw new Error('the signature is invalid');
}
