/** Puts a part of the user interface on a page, with what it needs around it. */
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { ServicesProvider } from "../../src/ui/services";
import type { Services } from "../../src/ui/services";
import { TextProvider } from "../../src/ui/text";
import { FakeSession } from "./fake-session";

export function show(part: ReactNode, services: Partial<Services> = {}) {
  const all: Services = {
    join: async () => new FakeSession(),
    enter: async () => null,
    openScreen: () => Promise.reject(new Error("no hub here")),
    ...services,
  };
  return render(
    <TextProvider>
      <ServicesProvider value={all}>{part}</ServicesProvider>
    </TextProvider>,
  );
}
