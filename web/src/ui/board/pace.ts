/** Call at most once in `periodMs`: at once if the last call is long ago, else at its end. */
export function pace(work: () => void, periodMs: number): { ask(): void; flush(): void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let asked = false;
  const run = () => {
    asked = false;
    work();
    timer = setTimeout(() => {
      timer = null;
      if (asked) run();
    }, periodMs);
  };
  return {
    ask() {
      asked = true;
      if (timer === null) run();
    },
    flush() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      if (asked) {
        asked = false;
        work();
      }
    },
  };
}
