import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@unmask/source", "module", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["@unmask/source", "module", "node", "import", "default"] } },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "packages/*/test/**/*.test.ts",
      "examples/*.test.ts",
      "scripts/*.test.ts",
    ],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
