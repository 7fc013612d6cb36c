// A few words on what went wrong, or on what one should know.
import { Box, Text, type BoxProps } from "@mantine/core";
import type { ReactNode } from "react";

type Props = BoxProps & { color: "red" | "yellow" | "gray"; title?: string; children?: ReactNode; "data-testid"?: string };

export function Notice({ color, title, children, ...box }: Props) {
  return (
    <Box {...box} className="notice" data-tone={color} role={color === "red" ? "alert" : "status"}>
      {title && (
        <Text size="sm" fw={650}>
          {title}
        </Text>
      )}
      <Text size="sm" component="div" className="prose">
        {children}
      </Text>
    </Box>
  );
}
