/** Tells the drawing surface where its fonts are, before it is loaded. */
declare global {
  interface Window {
    EXCALIDRAW_ASSET_PATH?: string;
  }
}

window.EXCALIDRAW_ASSET_PATH = "/excalidraw/";

export {};
