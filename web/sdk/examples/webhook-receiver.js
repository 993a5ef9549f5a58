/** For Node: `PARLEY_API_KEY=… node webhook-receiver.js SERVER PUBLIC_URL PORT [KIND] [EVENTS]`. Prints each event once. */
import { createServer } from 'node:http';
import { Rest } from '@parley/sdk';
import { verifyWebhook } from '@parley/sdk/webhooks';

const [server, url, port, kind = '*', wanted = 'Infinity'] = process.argv.slice(2);
const rest = new Rest(server, { bearer: process.env.PARLEY_API_KEY });
const seen = new Set(); // keep it in a database if a restart must not repeat any
const hook = await rest.post('/webhooks', { url, kinds: [kind] });

const receiver = createServer(async (request, response) => {
  const body = (await request.setEncoding('utf8').toArray()).join('');
  const event = await verifyWebhook(hook.secret, request.headers['x-parley-signature'], body).catch(() => null);
  response.writeHead(event === null ? 403 : 204).end();
  if (event === null || seen.has(event.id)) return;
  seen.add(event.id);
  console.log(event.kind, JSON.stringify(event.data));
  if (seen.size >= Number(wanted)) {
    await rest.delete(`/webhooks/${hook.id}`);
    receiver.close();
    receiver.closeAllConnections();
  }
});
receiver.listen(Number(port), () => rest.post(`/webhooks/${hook.id}/test`));
