/** The reader's own background picture, kept in this browser and never uploaded. */
const CACHE = 'parley-backdrop';
const ADDRESS = '/own-backdrop';
const LONGEST_SIDE = 1920;

/** @returns {Promise<Blob|null>} */
export async function ownPicture() {
  const kept = await (await caches.open(CACHE)).match(ADDRESS);
  return kept ? kept.blob() : null;
}

/** Store a picture, reduced to the displayed size; rejects if the file is not a picture. @param {Blob} file */
export async function keepOwnPicture(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
  await (await caches.open(CACHE)).put(ADDRESS, new Response(blob));
}
