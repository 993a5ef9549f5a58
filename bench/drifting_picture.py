"""A picture for benchmarks in browsers: coarse noise that drifts, so that every frame costs bits."""

DRIFTING = """(columns, rows, step) => {
  const tile = document.createElement('canvas');
  [tile.width, tile.height] = [columns, rows];
  const noise = tile.getContext('2d').createImageData(columns, rows);
  for (let k = 0; k < noise.data.length; k++) noise.data[k] = k % 4 === 3 ? 255 : Math.random() * 256;
  tile.getContext('2d').putImageData(noise, 0, 0);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [1280, 720];
  document.body.append(canvas);
  const context = canvas.getContext('2d');
  let count = 0;
  setInterval(() => {
    const at = step * ++count % 1280;
    context.drawImage(tile, -at, 0, 1280, 720);
    context.drawImage(tile, 1280 - at, 0, 1280, 720);
  }, 1000 / 30);
  const [track] = canvas.captureStream(30).getVideoTracks();
  track.contentHint = 'motion';
  return track;
}"""
"""A function of the page: returns a video track of 1280 × 720 at 30 Hz, whose noise moves `step` pixels a frame."""
