import { library } from "../../tsup.base.js";

// "#node" is resolved by the importing environment: files in Node, an error elsewhere.
export default library(["src/index.ts", "src/node.ts", "src/unavailable.ts"], {
  external: ["#node"],
  paths: { "#node": ["./src/node.ts"] },
});
