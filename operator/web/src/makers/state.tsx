// Whether a schedule or sensor makes Jobs now, and if not, why.
import type { Maker } from "../api";
import { Badge } from "../components/badge";

export function stateOf(maker: Maker): [color: string, text: string] {
  if (maker.ready === "False") return ["red", maker.reason || "Not ready"];
  if (maker.suspended) return ["yellow", "Suspended"];
  return maker.ready === "True" ? ["teal", "On"] : ["gray", "Unknown"];
}

export function MakerState({ maker, size = "sm" }: { maker: Maker; size?: "sm" | "lg" }) {
  const [color, text] = stateOf(maker);
  return (
    <Badge color={color} size={size} title={maker.message}>
      {text}
    </Badge>
  );
}
