import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pace } from "../../src/ui/board/pace";

describe("pace", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("works at once, then at most once a period, and never loses the last", () => {
    const work = vi.fn();
    const paced = pace(work, 50);
    paced.ask();
    expect(work).toHaveBeenCalledTimes(1);
    paced.ask();
    paced.ask();
    expect(work).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(50);
    expect(work).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(500);
    expect(work).toHaveBeenCalledTimes(2);
    paced.ask();
    expect(work).toHaveBeenCalledTimes(3);
  });

  it("does what is left when flushed", () => {
    const work = vi.fn();
    const paced = pace(work, 50);
    paced.ask();
    paced.ask();
    paced.flush();
    expect(work).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(500);
    expect(work).toHaveBeenCalledTimes(2);
  });
});
