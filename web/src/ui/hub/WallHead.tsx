import { useEffect, useState } from "react";
import { Mark } from "../parts/Mark";
import { clockTime, useLanguage } from "../text";

/** Whose wall this is, and what time it is. */
export function WallHead({ name }: { name: string }) {
  return (
    <header className="wall-head">
      <h1>
        <Mark size={56} /> <span>{name}</span>
      </h1>
      <Clock />
    </header>
  );
}

function Clock() {
  const { language } = useLanguage();
  const [time, setTime] = useState(() => clockTime(new Date(), language));
  useEffect(() => {
    const tick = () => setTime(clockTime(new Date(), language));
    tick();
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [language]);
  return <time>{time}</time>;
}
