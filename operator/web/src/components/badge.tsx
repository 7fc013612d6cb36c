// A word with a color: what state something is in. Plain HTML, as lists have many.
import type { ReactNode } from "react";

type Props = { color: string; size?: "sm" | "lg"; title?: string; children: ReactNode };

export function Badge({ color, size = "sm", title, children }: Props) {
  return (
    <span className="mark" data-size={size} title={title} style={{ "--tone": `var(--mantine-color-${color}-6)` } as object}>
      {children}
    </span>
  );
}
