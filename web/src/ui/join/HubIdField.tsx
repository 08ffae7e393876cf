import { useText } from "../text";
import { Field } from "../parts/Field";
import { groupHubId } from "../parts/route";

interface HubIdFieldProps {
  /** Up to nine digits, ungrouped. */
  value: string;
  onChange: (digits: string) => void;
  problem?: string | null;
  autoFocus?: boolean;
  /** Where it is not the door's own. */
  label?: string;
}

/** Nine digits in groups of three; anything else that is typed or pasted falls away. */
export function HubIdField({ value, onChange, problem, autoFocus, label }: HubIdFieldProps) {
  const t = useText();
  return (
    <Field
      label={label ?? t.join.hubId}
      hint={label === undefined ? t.join.hubIdHint : undefined}
      problem={problem}
      className="digits"
      inputMode="numeric"
      autoComplete="off"
      autoFocus={autoFocus}
      spellCheck={false}
      placeholder="000 000 000"
      value={groupHubId(value)}
      onChange={(event) => onChange(event.target.value.replace(/\D/g, "").slice(0, 9))}
    />
  );
}
