/** Makes TensorFlow.js's WASM backend known to it, in Node: importing this file is enough to ask the oracle for "wasm". */

import "@tensorflow/tfjs-backend-wasm";
