// mediasoup under `python -m bench peers`: one worker, plain transports with SRTP, told what to open by lines of JSON.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'package.json'));
const mediasoup = require('mediasoup');
const worker = await mediasoup.createWorker({ logLevel: 'error', disableLiburing: process.argv[3] === 'plain' });
const codec = { kind: 'video', mimeType: 'video/VP8', clockRate: 90000, preferredPayloadType: 96 };
const router = await worker.createRouter({ mediaCodecs: [codec] });
// Plain receivers estimate no bandwidth, at ours neither: a sender that waited for their feedback would hoard what it sent.
const rtpCapabilities = {
  codecs: router.rtpCapabilities.codecs.map((one) => ({
    ...one,
    rtcpFeedback: one.rtcpFeedback.filter(({ type }) => ['nack', 'ccm'].includes(type)),
  })),
  headerExtensions: [],
};
const BUFFER_BYTES = 4 << 20; // as ours: what comes in bursts is not lost at the door
let producer;

function transport(suite, comedia) {
  return router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1', recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES },
    rtcpMux: true,
    comedia,
    enableSrtp: true,
    srtpCryptoSuite: suite,
  });
}

async function publish({ suite, key, ssrc }) {
  const opened = await transport(suite, true);
  await opened.connect({ srtpParameters: { cryptoSuite: suite, keyBase64: key } });
  producer = await opened.produce({
    kind: 'video',
    rtpParameters: {
      codecs: [{ mimeType: 'video/VP8', clockRate: 90000, payloadType: 96, rtcpFeedback: [{ type: 'nack', parameter: 'pli' }] }],
      encodings: [{ ssrc }],
    },
  });
  return { port: opened.tuple.localPort };
}

async function subscribe({ suite, key, port }) {
  const opened = await transport(suite, false);
  await opened.connect({ ip: '127.0.0.1', port, srtpParameters: { cryptoSuite: suite, keyBase64: key } });
  const consumer = await opened.consume({ producerId: producer.id, rtpCapabilities });
  return {
    port: opened.tuple.localPort,
    key: opened.srtpParameters.keyBase64,
    payloadType: consumer.rtpParameters.codecs[0].payloadType,
  };
}

console.log(JSON.stringify({ pid: worker.pid, version: mediasoup.version }));
for await (const line of createInterface({ input: process.stdin })) {
  const wish = JSON.parse(line);
  console.log(JSON.stringify(await (wish.kind === 'publish' ? publish(wish) : subscribe(wish))));
}
worker.close();
