import { Component } from "react";
import type { ReactNode } from "react";
import { useText } from "../text";

interface BoundaryProps {
  what: string;
  children: ReactNode;
}

/** Keeps a fault in one part (a broken drawing, say) away from the meeting around it. */
export class Boundary extends Component<BoundaryProps, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return <Broken what={this.props.what} again={() => this.setState({ failed: false })} />;
  }
}

function Broken({ what, again }: { what: string; again: () => void }) {
  const t = useText();
  return (
    <div className="centred" role="alert">
      <p>{t.broken(what)}</p>
      <button type="button" className="button" onClick={again}>
        {t.openAgain}
      </button>
    </div>
  );
}
