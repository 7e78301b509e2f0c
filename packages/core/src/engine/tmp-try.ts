import * as tf from "@tensorflow/tfjs";
import { currentEngine, startEngine } from "./index.js";

for (const n of (process.argv[2] ?? "auto,cpu,wasm").split(",")) {
  try {
    console.log(await startEngine(n as "auto"));
    tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).print();
  } catch (e) {
    console.log(String(e));
  }
}
