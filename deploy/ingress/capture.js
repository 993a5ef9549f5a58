// Captures the tab whose title the browser was told, and hands over what a MediaRecorder makes of it (web_page.py).
const FORMS = ["video/x-matroska;codecs=avc1,opus", "video/webm;codecs=vp8,opus"];
const PIECE_MS = 100;
const KEYFRAME_MS = 1000; // so that a decoder that fell behind skips little
let media;

window.acquire = async (width, height) => {
  media = await navigator.mediaDevices.getDisplayMedia({
    video: { width, height, frameRate: 30, cursor: "never" },
    audio: { channelCount: 2, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  for (const track of media.getTracks()) track.addEventListener("ended", () => hand(""));
};

window.begin = (videoBitsPerSecond) => {
  const mimeType = FORMS.find((form) => MediaRecorder.isTypeSupported(form));
  const recorder = new MediaRecorder(media, {
    mimeType,
    videoBitsPerSecond,
    audioBitsPerSecond: 128_000,
    videoKeyFrameIntervalDuration: KEYFRAME_MS,
  });
  let passing = Promise.resolve();
  recorder.addEventListener("dataavailable", ({ data }) => {
    passing = passing.then(() => pass(data)); // in order
  });
  recorder.addEventListener("error", () => hand(""));
  recorder.start(PIECE_MS);
};

const pass = (blob) =>
  new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      const data = reader.result.slice(reader.result.lastIndexOf(",") + 1); // the type has commas, too
      if (data) hand(data);
      resolve();
    });
    reader.readAsDataURL(blob);
  });
