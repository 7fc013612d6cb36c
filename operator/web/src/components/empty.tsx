// What stands where there is nothing to show, and what can be done about it.
import { Box, Text } from "@mantine/core";
import type { ReactNode } from "react";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Box p="xl" ta="center" className="empty">
      <Text fw={600}>{title}</Text>
      {children && (
        <Text c="dimmed" size="sm" mt={6} maw={560} mx="auto">
          {children}
        </Text>
      )}
    </Box>
  );
}
