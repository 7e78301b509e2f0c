import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/node.ts", "src/unavailable.ts"],
  format: "esm",
  target: "es2022",
  dts: {
    compilerOptions: {
      noEmit: false,
      customConditions: [],
      baseUrl: ".",
      paths: { "#node": ["./src/node.ts"] },
    },
  },
  sourcemap: true,
  clean: true,
  external: ["#node"],
});
