/** Mosaic's mark: four tiles, no two alike, one square. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect x="2" y="2" width="17" height="17" rx="4" fill="var(--mark-1)" />
      <rect x="21" y="2" width="9" height="17" rx="3" fill="var(--mark-2)" />
      <rect x="2" y="21" width="9" height="9" rx="3" fill="var(--mark-3)" />
      <rect x="13" y="21" width="17" height="9" rx="3" fill="var(--mark-4)" />
    </svg>
  );
}
