/** Gives a file to the browser to keep. */
export function saveFile(data: Blob, name: string): void {
  const url = URL.createObjectURL(data);
  const link = document.createElement("a");
  link.href = url;
  link.download = name.replace(/[\\/:*?"<>|]+/g, " ").trim() || "mosaic";
  document.body.append(link);
  link.click();
  link.remove();
  // Some browsers read it a little after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
