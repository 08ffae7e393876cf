import { useText } from "../text";
import { DevicePickers } from "../media/DevicePickers";
import { useDeviceList } from "../media/devices";
import type { DeviceProblem, Preview } from "../media/devices";
import { useLevel } from "../media/level";
import { StreamVideo } from "../media/StreamVideo";
import { Icon } from "../parts/Icon";
import { useNarrow } from "../parts/narrow";

const STEPS = 12;

/** What the others will see and hear, and what stands in the way. Never blocks joining. */
export function PreviewCard({ preview }: { preview: Preview }) {
  const t = useText();
  const list = useDeviceList(preview.stream);
  const hasVideo = (preview.stream?.getVideoTracks().length ?? 0) > 0;
  const hasAudio = (preview.stream?.getAudioTracks().length ?? 0) > 0;
  const soundLine = !hasAudio && !preview.busy
    ? t.devices.withoutMic
    : preview.micOn
      ? t.devices.micOn
      : t.devices.micOff;
  const narrow = useNarrow();
  const pickers = (
    <DevicePickers list={list} stream={preview.stream} onChoose={preview.choose} />
  );
  return (
    <section className="preview" aria-label={t.devices.preview}>
      <div className="preview-picture">
        {preview.stream && hasVideo ? (
          <StreamVideo stream={preview.stream} label={t.devices.preview} mirrored />
        ) : (
          <p>{preview.busy ? t.devices.starting : t.devices.previewOff}</p>
        )}
        <div className="preview-buttons">
          <button
            type="button"
            className={`round ${preview.micOn && hasAudio ? "" : "off"}`}
            disabled={!hasAudio}
            aria-label={preview.micOn ? t.devices.muteBefore : t.devices.unmuteBefore}
            title={preview.micOn ? t.devices.muteBefore : t.devices.unmuteBefore}
            onClick={() => preview.setMicOn(!preview.micOn)}
          >
            <Icon name={preview.micOn && hasAudio ? "mic" : "micOff"} />
          </button>
          <button
            type="button"
            className={`round ${preview.camOn && hasVideo ? "" : "off"}`}
            disabled={preview.camOn && !hasVideo && !preview.busy}
            aria-label={preview.camOn ? t.devices.camOffBefore : t.devices.camOnBefore}
            title={preview.camOn ? t.devices.camOffBefore : t.devices.camOnBefore}
            onClick={() => preview.setCamOn(!preview.camOn)}
          >
            <Icon name={preview.camOn && hasVideo ? "camera" : "cameraOff"} />
          </button>
        </div>
        {hasAudio && <LevelMeter stream={preview.stream} on={preview.micOn} />}
      </div>
      <p className="preview-line">
        <Icon name={preview.micOn && hasAudio ? "mic" : "micOff"} size="1.125rem" />
        {soundLine}
      </p>
      <Problems preview={preview} />
      {narrow ? (
        <details className="more-devices">
          <summary>{t.devices.title}</summary>
          {pickers}
        </details>
      ) : (
        pickers
      )}
    </section>
  );
}

function LevelMeter({ stream, on }: { stream: MediaStream | null; on: boolean }) {
  const t = useText();
  const level = useLevel(stream, STEPS, on);
  return (
    <div
      className="level"
      role="meter"
      aria-label={t.devices.level}
      aria-valuemin={0}
      aria-valuemax={STEPS}
      aria-valuenow={level}
    >
      {Array.from({ length: STEPS }, (_, n) => (
        <span key={n} className={n < level ? (n > STEPS - 3 ? "lit high" : "lit") : ""} />
      ))}
    </div>
  );
}

function Problems({ preview }: { preview: Preview }) {
  const t = useText();
  const text = (problem: DeviceProblem, what: string) => t.devices.problem[problem](what);
  const lines = [
    preview.camera && text(preview.camera, t.devices.camera),
    preview.microphone && text(preview.microphone, t.devices.microphone),
  ].filter((line): line is string => Boolean(line));
  if (lines.length === 0) return null;
  const insecure = preview.camera === "insecure" || preview.microphone === "insecure";
  return (
    <div className="notice" role="status">
      <div>
        {[...new Set(lines)].map((line) => (
          <p key={line}>{line}</p>
        ))}
      </div>
      {!insecure && (
        <button type="button" className="button small" onClick={preview.retry}>
          {t.tryAgain}
        </button>
      )}
    </div>
  );
}
