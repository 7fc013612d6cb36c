// Whether a JobDefinition can be run.
import { Badge } from "@mantine/core";

const READY: Record<string, [string, string]> = {
  True: ["teal", "Ready"],
  False: ["red", "Cannot be run"],
  Unknown: ["gray", "Not read yet"],
};

export function Ready({ ready }: { ready: string }) {
  const [color, text] = READY[ready] ?? READY.Unknown!;
  return (
    <Badge color={color} variant="light" radius="sm" tt="none" size="sm" miw="fit-content">
      {text}
    </Badge>
  );
}
