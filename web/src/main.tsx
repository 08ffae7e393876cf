import { createRoot } from "react-dom/client";
import { App } from "./ui/App";
import { startTheme } from "./ui/parts/theme";
import { ServicesProvider } from "./ui/services";
import type { Services } from "./ui/services";
import "./ui/style/index.css";
import { TextProvider } from "./ui/text";

// The session layer (with the document machinery) loads beside the first page.
const session = import("./session");
const services: Services = {
  join: async (request, options) => (await session).joinRoom(request, options),
  enter: async (token, hubId, options) => {
    const { enterRoom, recentToken } = await session;
    const known = token ?? recentToken(hubId);
    return known === null ? null : enterRoom(known, options);
  },
  openScreen: async (address, options) => (await session).openHubScreen(address, options),
};

startTheme();
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(
  <TextProvider>
    <ServicesProvider value={services}>
      <App />
    </ServicesProvider>
  </TextProvider>,
);
