import { installTensorflow } from "./node/install-tensorflow.js";
const t = performance.now();
console.log(await installTensorflow({ directory: process.argv[2], python: process.argv[3], wheel: process.argv[4], route: (process.argv[5] ?? "wheel") as "wheel", log: (l) => console.log(((performance.now() - t) / 1000).toFixed(1), l) }).catch(String));
