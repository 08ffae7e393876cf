import { createRoot } from "react-dom/client";
import { enterRoom, joinRoom, recentToken } from "./session";
import { App } from "./ui/App";
import { startTheme } from "./ui/parts/theme";
import { ServicesProvider } from "./ui/services";
import "./ui/style/index.css";
import { TextProvider } from "./ui/text";

const services = { join: joinRoom, enter: enterRoom, tokenOf: recentToken };

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
