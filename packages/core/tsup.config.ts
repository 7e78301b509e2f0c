import { library } from "../../tsup.base.js";

// "#node" is resolved by the importing environment: files in Node, an error elsewhere.
export default library(
  ["src/index.ts", "src/errors.ts", "src/node.ts", "src/thread.ts", "src/unavailable.ts"],
  {
    external: ["#node"],
    paths: { "#node": ["./src/node.ts"] },
  },
);
