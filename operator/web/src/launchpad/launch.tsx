// Launches the run, or says why it cannot be launched.
import { Button, Tooltip } from "@mantine/core";
import { useState, type MouseEvent } from "react";
import { useLocation } from "wouter";
import { ask, runPath, type Made } from "../api";
import { notifyError } from "../notify-error";
import type { Session } from "./sessions";
import type { Wanted } from "./use-check";

export function LaunchButton({ session, wanted, why }: { session: Session; wanted: Wanted; why: string }) {
  const [, go] = useLocation();
  const [launching, setLaunching] = useState(false);
  const launch = async () => {
    setLaunching(true);
    try {
      const tags = Object.fromEntries(session.tags.map((tag) => [tag.slice(0, tag.indexOf("=")), tag.slice(tag.indexOf("=") + 1)]));
      go(runPath(await ask<Made>("/runs", "POST", { ...wanted, mode: session.mode, maxConcurrent: session.most ?? 0, tags })));
    } catch (error) {
      notifyError(error);
      setLaunching(false);
    }
  };
  return (
    <Tooltip label={why} disabled={!why} multiline maw={400}>
      <Button
        onClick={launch}
        loading={launching}
        data-disabled={!!why || undefined}
        aria-disabled={!!why}
        aria-description={why || undefined}
        onClickCapture={(event: MouseEvent) => {
          if (why) event.stopPropagation();
        }}
      >
        Launch Run
      </Button>
    </Tooltip>
  );
}
