/** TensorFlow Lite in WebAssembly; segmenter.wasm and segmenter.tflite, a model that finds people, are of the same package. */
export { default as createSegmenter } from '@twilio/video-processors/dist/build/tflite-simd-1-0-0.js';
