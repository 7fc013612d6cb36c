// The switch that suspends a schedule or sensor and resumes it.
import { Switch } from "@mantine/core";
import { useState } from "react";
import { ask, makerPath, type Maker } from "../api";
import { notifyError } from "../notify-error";

export function SuspendSwitch({ maker, onChange, label }: { maker: Maker; onChange: () => void; label?: string }) {
  const [wanted, setWanted] = useState<boolean | null>(null);
  const isOn = wanted ?? !maker.suspended;
  const turn = async (on: boolean) => {
    setWanted(on);
    try {
      await ask(`/makers${makerPath(maker)}/suspend`, "POST", { uid: maker.uid, suspend: !on });
      onChange();
    } catch (problem) {
      notifyError(problem);
    } finally {
      setTimeout(() => setWanted(null), 1500); // by then the list tells how it is
    }
  };
  return (
    <Switch
      size="sm"
      label={label}
      aria-label={`${maker.name} makes Jobs`}
      checked={isOn}
      onChange={(event) => void turn(event.currentTarget.checked)}
    />
  );
}
