// When the next ticks are.
import { Text } from "@mantine/core";
import { ahead, moment } from "../format";

type Props = { times: string[]; suspended: boolean; now: number };

export function Upcoming({ times, suspended, now }: Props) {
  if (!times.length)
    return (
      <Text size="sm" c="dimmed">
        No future ticks.
      </Text>
    );
  return (
    <>
      {suspended && (
        <Text size="sm" c="dimmed" mb={4}>
          These ticks are skipped while the schedule is suspended.
        </Text>
      )}
      <ol className="upcoming" aria-label="Next ticks">
        {times.map((time) => (
          <li key={time}>
            <span className="fixed">{moment(time, now)}</span>
            <Text span size="sm" c="dimmed">
              {ahead(time, now)}
            </Text>
          </li>
        ))}
      </ol>
    </>
  );
}
