/**
 * The whiteboard's fonts, served by ourselves.
 *
 * Excalidraw fetches its fonts at run time from `EXCALIDRAW_ASSET_PATH` and
 * falls back to a public host. This plugin copies the fonts next to the bundle
 * and takes the public host out of the code. Xiaolai (Chinese handwriting,
 * 13 MB) stays out: the system's own font draws those glyphs.
 */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Plugin } from "vite";

const PUBLIC_PATH = "excalidraw/fonts";
const LEFT_OUT = new Set(["Xiaolai"]);

function fontFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !LEFT_OUT.has(name))
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? fontFiles(path) : [path]));
}

export function boardFonts(root: string): Plugin {
  const fonts = join(root, "node_modules/@excalidraw/excalidraw/dist/prod/fonts");
  return {
    name: "mosaic-board-fonts",
    transform(code, id) {
      if (!id.includes("@excalidraw/excalidraw") || !code.includes("https://esm.sh/")) {
        return null;
      }
      // The fallback (a template literal) becomes our own origin: a missing font
      // is then a local 404.
      if (code.split("`https://esm.sh/").length !== code.split("https://esm.sh/").length) {
        this.error("Excalidraw names its public host in a new way");
      }
      return {
        code: code.replaceAll("`https://esm.sh/", "`${location.origin}/excalidraw/none/"),
        map: null,
      };
    },
    generateBundle() {
      for (const path of fontFiles(fonts)) {
        const name = relative(fonts, path).split(sep).join("/");
        this.emitFile({
          type: "asset",
          fileName: `${PUBLIC_PATH}/${name}`,
          source: readFileSync(path),
        });
      }
    },
    configureServer(server) {
      server.middlewares.use(`/${PUBLIC_PATH}`, (request, response, next) => {
        const wanted = decodeURIComponent((request.url ?? "").split("?")[0] ?? "");
        const path = fontFiles(fonts).find(
          (file) => `/${relative(fonts, file).split(sep).join("/")}` === wanted,
        );
        if (path === undefined) {
          next();
          return;
        }
        response.setHeader("Content-Type", "font/woff2");
        response.end(readFileSync(path));
      });
    },
  };
}
