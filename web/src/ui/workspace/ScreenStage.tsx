import { StreamVideo } from "../media/StreamVideo";
import { Icon } from "../parts/Icon";

/** A shared screen, as large as the canvas, with the name of who shows it. */
export function ScreenStage({ stream, caption }: { stream: MediaStream; caption: string }) {
  return (
    <figure className="stage">
      <StreamVideo stream={stream} label={caption} />
      <figcaption>
        <Icon name="screen" size="1.125rem" /> {caption}
      </figcaption>
    </figure>
  );
}
