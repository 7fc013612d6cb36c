// Whether a JobDefinition can be run.
import { Badge } from "../components/badge";

const READY: Record<string, [string, string]> = {
  True: ["teal", "Ready"],
  False: ["red", "Cannot be run"],
  Unknown: ["gray", "Not read yet"],
};

export function Ready({ ready }: { ready: string }) {
  const [color, text] = READY[ready] ?? READY.Unknown!;
  return <Badge color={color}>{text}</Badge>;
}
