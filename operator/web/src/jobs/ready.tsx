// Whether a JobDefinition can be run.
import { Badge } from "../components/badge";

const READY: Record<string, [string, string]> = {
  True: ["teal", "Ready"],
  False: ["red", "Not ready"],
  Unknown: ["gray", "Unknown"],
};

export function Ready({ ready }: { ready: string }) {
  const [color, text] = READY[ready] ?? READY.Unknown!;
  return <Badge color={color}>{text}</Badge>;
}
