// Longer text as it stands, with a button that copies it.
import { Box, Button, CopyButton } from "@mantine/core";

export function Block({ text, label, most = "40vh" }: { text: string; label: string; most?: string }) {
  return (
    <Box pos="relative">
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="default" className="copy" onClick={copy} aria-label={`Copy ${label}`}>
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
      <pre className="block" tabIndex={0} aria-label={label} style={{ maxHeight: most }}>
        {text}
      </pre>
    </Box>
  );
}
