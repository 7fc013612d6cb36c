// Whether a schedule or sensor makes Jobs now, and if not, why.
import { Badge } from "@mantine/core";
import type { Maker } from "../api";

export function stateOf(maker: Maker): [color: string, text: string] {
  if (maker.ready === "False") return ["red", maker.reason || "Not ready"];
  if (maker.suspended) return ["yellow", "Suspended"];
  return maker.ready === "True" ? ["teal", "On"] : ["gray", "Not read yet"];
}

export function MakerState({ maker, size = "sm" }: { maker: Maker; size?: string }) {
  const [color, text] = stateOf(maker);
  return (
    <Badge color={color} variant="light" radius="sm" tt="none" size={size} miw="fit-content" title={maker.message}>
      {text}
    </Badge>
  );
}
