import "./assets";
import {
  CaptureUpdateAction,
  Excalidraw,
  MainMenu,
  reconcileElements,
  restoreElements,
} from "@excalidraw/excalidraw";
import "@excalidraw/excalidraw/index.css";
import "./board.css";
import type {
  ExcalidrawElement,
  OrderedExcalidrawElement,
} from "@excalidraw/excalidraw/element/types";
import type { ExcalidrawImperativeAPI } from "@excalidraw/excalidraw/types";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Person, RoomSession, SharedDoc } from "../../session/api";
import { Icon } from "../parts/Icon";
import { useTheme } from "../parts/theme";
import { useLanguage, useText } from "../text";
import { useSnapshot } from "../workspace/useSession";
import { BoardBinding } from "./binding";
import type { BoardSurface } from "./binding";
import { collaboratorsOf } from "./cursors";
import { useAccessibleNames } from "./names";
import { pace } from "./pace";
import { Pictures } from "./pictures";

const PUSH_MS = 33;
const POINTER_MS = 50;
const FOLLOW_MS = 1000;
/** One small word must not fill a wall: twice its size on 1080 lines, four times on 2160. */
const FOLLOW_MAX_ZOOM_PX = 540;
/** A clear canvas lets the page's own paper through, in both themes. */
const CLEAR = "transparent";
const LANGUAGE_CODES = { en: "en", de: "de-DE" } as const;

type Remote = Parameters<typeof reconcileElements>[1];

/** Make elements whole; one that others wrote and nobody can draw is left out. */
function sound(remote: readonly OrderedExcalidrawElement[]): Remote {
  const restored = remote.flatMap((element) => {
    try {
      return restoreElements([element], null);
    } catch {
      return [];
    }
  });
  return restored as unknown as Remote;
}

function surfaceOf(api: ExcalidrawImperativeAPI): BoardSurface<OrderedExcalidrawElement> {
  const show = (elements: readonly ExcalidrawElement[]) =>
    api.updateScene({ elements, captureUpdate: CaptureUpdateAction.NEVER });
  return {
    merge(remote) {
      const local = api.getSceneElementsIncludingDeleted();
      show(reconcileElements(local, sound(remote), api.getAppState()));
    },
    forget(ids) {
      const local = api.getSceneElementsIncludingDeleted();
      if (local.some((element) => ids.has(element.id))) {
        show(local.filter((element) => !ids.has(element.id)));
      }
    },
  };
}

interface BoardProps {
  session: RoomSession;
  me: Person | null;
  shown: boolean;
  /** Where nobody draws: keep everything that others draw in view. */
  follow?: boolean;
  /** Absent where there is nobody to give a file to. */
  onExport?: () => void;
}

/** The whiteboard, shared by everyone in the room. */
export default function Board({ session, me, shown, follow = false, onExport }: BoardProps) {
  const t = useText();
  const { language } = useLanguage();
  const theme = useTheme();
  useSnapshot(session); // `writable` follows the state of the room
  const shared = session.open("board");
  const [api, setApi] = useState<ExcalidrawImperativeAPI | null>(null);
  const pictures = useMemo(() => new Pictures(session), [session]);
  const live = useBoardLink(api, shared, pictures);
  useCursors(api, shared, me);
  useFollow(api, shared, follow && shown);

  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (shown) api?.refresh();
  }, [api, shown]);
  useAccessibleNames(section, t);

  return (
    <section className="board" ref={section} aria-label={t.room.whiteboard}>
      <Excalidraw
        excalidrawAPI={setApi}
        theme={theme}
        langCode={LANGUAGE_CODES[language]}
        isCollaborating
        viewModeEnabled={!shared.writable}
        handleKeyboardGlobally={false}
        aiEnabled={false}
        validateEmbeddable={false}
        initialData={{ appState: { viewBackgroundColor: CLEAR, currentItemRoughness: 0 } }}
        UIOptions={{
          canvasActions: {
            changeViewBackgroundColor: false,
            loadScene: false,
            toggleTheme: false,
          },
        }}
        generateIdForFile={(file) => pictures.upload(file)}
        onChange={() => live.current?.changed()}
        onPointerUpdate={({ pointer, button }) => live.current?.pointed(pointer, button)}
      >
        <MainMenu>
          {onExport && (
            <>
              <MainMenu.Item onSelect={onExport} icon={<Icon name="download" size="1rem" />}>
                {t.export.board}
              </MainMenu.Item>
              <MainMenu.DefaultItems.SaveAsImage />
            </>
          )}
          <MainMenu.DefaultItems.SearchMenu />
          <MainMenu.DefaultItems.Help />
          {shared.writable && <MainMenu.DefaultItems.ClearCanvas />}
        </MainMenu>
      </Excalidraw>
    </section>
  );
}

/** Fits the whole drawing into the window whenever it has changed. */
function useFollow(api: ExcalidrawImperativeAPI | null, shared: SharedDoc, on: boolean): void {
  const { doc } = shared;
  useEffect(() => {
    if (!api || !on) return;
    const fit = pace(() => {
      const elements = api.getSceneElements();
      if (elements.length === 0) return;
      api.scrollToContent(elements, {
        fitToViewport: true,
        viewportZoomFactor: 0.8,
        maxZoom: Math.max(1, innerHeight / FOLLOW_MAX_ZOOM_PX),
        animate: false,
      });
    }, FOLLOW_MS);
    fit.ask();
    const elements = doc.getMap("elements");
    elements.observe(fit.ask);
    addEventListener("resize", fit.ask);
    return () => {
      elements.unobserve(fit.ask);
      removeEventListener("resize", fit.ask);
    };
  }, [api, doc, on]);
}

interface BoardLink {
  changed(): void;
  pointed(pointer: { x: number; y: number; tool: string }, button: string): void;
}

/** Ties the drawing surface to the document while both are there. */
function useBoardLink(
  api: ExcalidrawImperativeAPI | null,
  shared: SharedDoc,
  pictures: Pictures,
) {
  const link = useRef<BoardLink | null>(null);
  const writable = useRef(shared.writable);
  writable.current = shared.writable;
  const { doc, awareness } = shared;

  useEffect(() => {
    if (!api) return;
    const surface = surfaceOf(api);
    const binding = new BoardBinding<OrderedExcalidrawElement>(doc, surface);
    const stop = binding.start();
    if (writable.current) binding.prune(Date.now());

    let gone = false;
    const fetchPictures = async () => {
      const files = await pictures.missing(api.getSceneElements(), api.getFiles());
      if (!gone && files.length > 0) api.addFiles(files);
    };
    const push = pace(() => {
      if (writable.current) binding.push(api.getSceneElementsIncludingDeleted());
      void fetchPictures();
    }, PUSH_MS);
    let pointer: unknown = null;
    let button = "up";
    const point = pace(() => {
      awareness.setLocalStateField("pointer", pointer);
      awareness.setLocalStateField("button", button);
      const selected = Object.keys(api.getAppState().selectedElementIds);
      awareness.setLocalStateField("selected", selected.slice(0, 200));
    }, POINTER_MS);

    link.current = {
      changed: () => push.ask(),
      pointed: (at, pressed) => {
        pointer = { x: Math.round(at.x), y: Math.round(at.y), tool: at.tool };
        button = pressed;
        point.ask();
      },
    };
    const leaving = () => push.flush();
    addEventListener("pagehide", leaving);
    return () => {
      removeEventListener("pagehide", leaving);
      push.flush();
      gone = true;
      link.current = null;
      stop();
      awareness.setLocalStateField("pointer", null);
    };
  }, [api, doc, awareness, pictures]);
  return link;
}

/** Shows the others' pointers, and tells them who we are. */
function useCursors(
  api: ExcalidrawImperativeAPI | null,
  shared: SharedDoc,
  me: Person | null,
): void {
  const { awareness } = shared;
  const id = me?.id;
  const name = me?.name;
  useEffect(() => {
    if (id !== undefined) awareness.setLocalStateField("user", { id, name });
  }, [awareness, id, name]);
  useEffect(() => {
    if (!api) return;
    const draw = pace(() => api.updateScene({ collaborators: collaboratorsOf(awareness) }), POINTER_MS);
    draw.ask();
    awareness.on("change", draw.ask);
    return () => awareness.off("change", draw.ask);
  }, [api, awareness]);
}
