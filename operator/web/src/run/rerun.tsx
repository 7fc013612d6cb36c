// Runs steps of a finished run again: all, those not done, those chosen, or all from those chosen on.
import { Button, Group, Menu, Tooltip } from "@mantine/core";
import { useLocation } from "wouter";
import { ask, runPath, type Made, type Summary } from "../api";
import { useAct } from "../hooks/use-act";

type Way = "All" | "FromFailure" | "Selected" | "FromSelected";

export function Rerun({ summary, chosen }: { summary: Summary; chosen: string[] }) {
  const [, go] = useLocation();
  const [busy, act] = useAct();
  const rerun = (way: Way) =>
    act(async () => {
      const isChosen = way === "Selected" || way === "FromSelected";
      const made = await ask<Made>(`${runPath(summary)}/rerun`, "POST", {
        steps: isChosen ? "Selected" : way,
        selection: isChosen ? chosen.map((step) => (way === "FromSelected" ? `${step}*` : step)).join(",") : "",
      });
      go(runPath(made));
    });
  const failed = summary.finished && summary.state !== "Succeeded";
  const usual: Way = chosen.length ? "Selected" : failed ? "FromFailure" : "All";
  const labels = {
    All: "all steps",
    FromFailure: "from failure",
    Selected: `selected (${chosen.length})`,
    FromSelected: "from selected",
  };
  const why = !summary.finished ? "The run has not finished" : summary.progress ? "" : "The run has no steps. Open it in the Launchpad";
  return (
    <Tooltip label={why} disabled={!why}>
      <Group gap={0} wrap="nowrap">
        <Button size="xs" disabled={!!why || busy} onClick={() => rerun(usual)} className="split-left">
          Re-execute {labels[usual]}
        </Button>
        <Menu position="bottom-end">
          <Menu.Target>
            <Button size="xs" px={8} disabled={!!why || busy} className="split-right" aria-label="More ways to re-execute">
              ▾
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => rerun("All")}>All steps</Menu.Item>
            <Menu.Item disabled={!failed} onClick={() => rerun("FromFailure")}>
              From failure
            </Menu.Item>
            <Menu.Item disabled={!chosen.length} onClick={() => rerun("Selected")}>
              Selected steps ({chosen.length})
            </Menu.Item>
            <Menu.Item disabled={!chosen.length} onClick={() => rerun("FromSelected")}>
              From selected steps and all steps downstream
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Group>
    </Tooltip>
  );
}
