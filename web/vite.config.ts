import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { boardFonts } from "./build/board-fonts.ts";

const root = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
  root,
  plugins: [react(), boardFonts(root)],
  build: {
    outDir: "../mosaic/static",
    emptyOutDir: true,
    assetsDir: "assets",
    // The page's policy allows no data: URLs for scripts and fonts.
    assetsInlineLimit: 0,
    target: "es2022",
    chunkSizeWarningLimit: 2000,
  },
  server: {
    proxy: {
      "/api": { target: "https://localhost:8443", secure: false },
      "/drcp": { target: "wss://localhost:8443", secure: false, ws: true },
    },
  },
});
