// What schedules and sensors are called, and the places where they are shown.
export type Kind = "schedules" | "sensors";

export const LABELS = {
  schedules: { title: "Schedules", one: "schedule", kind: "JobSchedule", text: "When", tick: "tick" },
  sensors: { title: "Sensors", one: "sensor", kind: "JobSensor", text: "Looks at", tick: "tick" },
} as const;
