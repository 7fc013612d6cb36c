// The schedules and sensors of a job.
import { useMemo } from "react";
import type { Maker } from "../api";
import { usePolled } from "../hooks/use-polled";

type Found = { makers: Maker[] };

/** All makers, by the job that they run (`namespace/name`). */
export function useMakersByJob(): { byJob: Map<string, Maker[]>; refetch: () => void } {
  const schedules = usePolled<Found>("/makers/schedules", 10_000);
  const sensors = usePolled<Found>("/makers/sensors", 10_000);
  const byJob = useMemo(() => {
    const found = new Map<string, Maker[]>();
    for (const maker of [...(schedules.data?.makers ?? []), ...(sensors.data?.makers ?? [])]) {
      const key = `${maker.namespace}/${maker.definition}`;
      found.set(key, [...(found.get(key) ?? []), maker]);
    }
    return found;
  }, [schedules.data, sensors.data]);
  const refetch = () => {
    schedules.refetch();
    sensors.refetch();
  };
  return { byJob, refetch };
}
