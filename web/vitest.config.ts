import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    testTimeout: 60_000, // a busy machine takes its time
    include: ["tests/**/*.test.{ts,tsx}"],
    // Files that need a page ask for it with `// @vitest-environment jsdom`.
    environment: "node",
    restoreMocks: true,
    css: false,
  },
});
