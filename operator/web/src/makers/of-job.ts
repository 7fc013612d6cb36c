// The schedules and sensors that make runs of a job.
import { useMemo } from "react";
import type { Maker } from "../api";
import { useAsked } from "../asked";

type Told = { makers: Maker[] };

/** All makers, by the job that they run (`namespace/name`). */
export function useMakersByJob(): { byJob: Map<string, Maker[]>; again: () => void } {
  const schedules = useAsked<Told>("/makers/schedules", 10_000);
  const sensors = useAsked<Told>("/makers/sensors", 10_000);
  const byJob = useMemo(() => {
    const found = new Map<string, Maker[]>();
    for (const maker of [...(schedules.told?.makers ?? []), ...(sensors.told?.makers ?? [])]) {
      const key = `${maker.namespace}/${maker.definition}`;
      found.set(key, [...(found.get(key) ?? []), maker]);
    }
    return found;
  }, [schedules.told, sensors.told]);
  const again = () => {
    schedules.again();
    sensors.again();
  };
  return { byJob, again };
}
