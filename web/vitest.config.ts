import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    // Files that need a page ask for it with `// @vitest-environment jsdom`.
    environment: "node",
    restoreMocks: true,
    // Typing into a whole page takes seconds on a machine that does other things too.
    testTimeout: 60_000,
    css: false,
  },
});
