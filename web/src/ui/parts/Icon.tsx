/** Line icons on a 24 px grid, in the colour of the text around them. */
const paths = {
  mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  micOff:
    "M9 9v3a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.8-1M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3M18.5 11.5c0 .9-.2 1.8-.5 2.6M12 18v3M4 4l16 16",
  camera: "M4 7.5A1.5 1.5 0 0 1 5.5 6h8A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 4 16.5ZM15 10.5l5-3v9l-5-3",
  cameraOff:
    "M8 6h5.5A1.5 1.5 0 0 1 15 7.5V13M15 16.5a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 4 16.5v-9A1.5 1.5 0 0 1 5 6.1M15 10.5l5-3v9M4 3l16 18",
  screen: "M4 5h16v11H4ZM9 20h6M12 16v4M12 13V8M9.5 10.2 12 7.7l2.5 2.5",
  screenStop: "M4 5h16v11H4ZM9 20h6M12 16v4M9.7 8.2l4.6 4.6M14.3 8.2l-4.6 4.6",
  hand: "M8 12V6.5a1.5 1.5 0 0 1 3 0V11M11 10.5V4.8a1.5 1.5 0 0 1 3 0v5.7M14 10.5V6.3a1.5 1.5 0 0 1 3 0V14c0 4-2.2 7-6 7-3 0-4.4-1.3-5.8-4L3.7 13.5a1.5 1.5 0 0 1 2.6-1.4L8 14.5",
  smile: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM8.5 14a4.2 4.2 0 0 0 7 0M9 9.5v.5M15 9.5v.5",
  leave: "M14 4H6v16h8M10 12h10M16.5 8.5 20 12l-3.5 3.5",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3 20c.3-3.7 2.6-5.5 6-5.5s5.7 1.8 6 5.5M16 4.5a3.2 3.2 0 0 1 0 6.2M17.5 14.8c2 .6 3.3 2.3 3.5 5.2",
  chat: "M5 5h14v10.5h-7.5L7.5 19v-3.5H5Z",
  notes: "M6 3.5h9l3.5 3.5v13.5H6ZM9 11h6.5M9 14.5h6.5M9 7.5h3",
  board: "M4 5h16v12H4ZM7.5 13.5c1.5-4 3-4 4-1.5s2.5 2 5-2.5M9 21l1.5-4M15 21l-1.5-4",
  lock: "M6 11h12v9H6ZM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 14.5v2",
  down: "M7 10l5 5 5-5",
  close: "M6 6l12 12M18 6 6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z",
  copy: "M9 9h11v11H9ZM5 15H4V4h11v1",
  send: "M4 12 20 4l-5 16-3.5-6.5ZM11.5 13.5 20 4",
  sliders: "M4 8h9M17 8h3M15 6v4M4 16h3M11 16h9M9 14v4",
  speaker: "M4 10v4h3.5L12 18V6L7.5 10ZM15.5 9.5a3.5 3.5 0 0 1 0 5M18 7a7 7 0 0 1 0 10",
  history: "M4.5 12a7.5 7.5 0 1 0 2.4-5.5L4.5 8.7M4.5 4.5v4.2h4.2M12 8v4.3l3 1.8",
  download: "M12 4v10M7.5 10 12 14.5 16.5 10M4.5 18.5h15",
  keyboard: "M3 7h18v11H3ZM7 11h.01M11 11h.01M15 11h.01M18 11h.01M8 15h8",
  bold: "M8 5h5a3.2 3.2 0 0 1 0 6.5H8ZM8 11.5h6a3.5 3.5 0 0 1 0 7H8Z",
  italic: "M10.5 5h6M7.5 19h6M14 5l-4 14",
  strike: "M5 12h14M16 8c-.5-1.8-2-3-4.2-3C9.5 5 8 6.2 8 8c0 1 .4 1.7 1.2 2.3M8 16c.4 1.9 2 3 4.2 3 2.3 0 3.9-1.1 3.9-3 0-.6-.2-1.2-.5-1.7",
  heading: "M6 5v14M16 5v14M6 12h10",
  subheading: "M7 7v10M14 7v10M7 12h7M17.5 17h2",
  bullets: "M9.5 6.5H20M9.5 12H20M9.5 17.5H20M5 6.5h.01M5 12h.01M5 17.5h.01",
  numbers: "M10 6.5h10M10 12h10M10 17.5h10M4.5 5l1.3-.8V9M4.3 14.5c.2-1.3 2.3-1.3 2.3 0 0 1-2.3 2-2.3 3.3h2.5",
  quote: "M6 7h4v5c0 2.5-1.3 4-3.5 4.5M14 7h4v5c0 2.5-1.3 4-3.5 4.5",
  code: "M9 8l-4.5 4L9 16M15 8l4.5 4L15 16",
  undo: "M8.5 5 4.5 9l4 4M5 9h8.5a5 5 0 0 1 0 10H9",
  redo: "M15.5 5l4 4-4 4M19 9h-8.5a5 5 0 0 0 0 10H15",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = "1.375rem" }: { name: IconName; size?: string }) {
  return (
    <svg
      className="icon"
      style={{ width: size, height: size }}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}
