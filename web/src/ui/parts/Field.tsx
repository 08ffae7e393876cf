import { useId } from "react";
import type { InputHTMLAttributes } from "react";

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string;
  problem?: string | null;
}

/** A labelled text field; its hint and its problem are read out with it. */
export function Field({ label, hint, problem, className, ...input }: FieldProps) {
  const id = useId();
  const below = problem ?? hint;
  return (
    <div className={`field ${className ?? ""}`}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        aria-invalid={problem ? true : undefined}
        aria-describedby={below ? `${id}-below` : undefined}
        {...input}
      />
      {below && (
        <p id={`${id}-below`} className={problem ? "field-problem" : "field-hint"}>
          {below}
        </p>
      )}
    </div>
  );
}
