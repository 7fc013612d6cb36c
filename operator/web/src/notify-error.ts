// Tells that something was refused, as the server says it.
import { notifications } from "@mantine/notifications";

export const notifyError = (problem: unknown) =>
  notifications.show({ color: "red", title: "Refused", message: (problem as Error).message, autoClose: 10_000 });
