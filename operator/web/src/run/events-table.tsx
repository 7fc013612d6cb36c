// The events of a run, with filters that stay in the address.
import { Chip, Group, Text, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { useSearchParams } from "wouter";
import { clock } from "../format";
import { LEVELS, matching, type Level, type RunEvent } from "./events";

const ROW = 26;
const USUAL: Level[] = ["error", "warning", "info"];

type Props = { events: RunEvent[]; live: boolean; onPick: (step: string) => void };

export function EventsTable({ events, live, onPick }: Props) {
  const [search, setSearch] = useSearchParams();
  const text = search.get("events") ?? "";
  const given = search.get("levels");
  const levels = useMemo(() => new Set((given?.split(",") as Level[] | undefined) ?? USUAL), [given]);
  const shown = useMemo(() => matching(events, text, levels), [events, text, levels]);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: shown.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  useEffect(() => {
    const seen = box.current;
    const atEnd = seen && seen.scrollHeight - seen.scrollTop - seen.clientHeight < ROW * 3;
    if (live && atEnd && shown.length) rows.scrollToIndex(shown.length - 1);
  }, [shown.length, live, rows]);
  const set = (name: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  return (
    <>
      <Group gap="sm" wrap="nowrap" mb={6}>
        <TextInput
          size="xs"
          flex={1}
          aria-label="Filter events"
          placeholder="Any text, step:load or type:failed"
          value={text}
          onChange={(event) => set("events", event.currentTarget.value)}
        />
        <Chip.Group multiple value={[...levels]} onChange={(value) => set("levels", value.join(","))}>
          <Group gap={4} wrap="nowrap" role="group" aria-label="Levels">
            {LEVELS.map((level) => (
              <Chip key={level} value={level} size="xs" variant="light" radius="sm" disabled={levels.size === 1 && levels.has(level)}>
                {level}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
        <Text size="xs" c="dimmed" className="fixed" data-testid="event-count">
          {shown.length} of {events.length}
        </Text>
      </Group>
      <div className="events" ref={box} role="table" aria-label="Events" aria-rowcount={shown.length} tabIndex={0}>
        <div className="event head" role="row">
          {["Time", "Step", "Event", "Message"].map((head) => (
            <span key={head} role="columnheader">
              {head}
            </span>
          ))}
        </div>
        <div role="rowgroup" style={{ position: "relative", height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const event = shown[item.index]!;
            return (
              <div key={item.index} role="row" className="event" data-level={event.level} style={{ top: item.start, height: ROW }}>
                <span role="cell" className="fixed" title={event.time}>
                  {event.time && clock(event.time)}
                </span>
                <span role="cell" className="cut">
                  {event.step && (
                    <button type="button" className="plain link" aria-label={`Open ${event.step}`} onClick={() => onPick(event.step)}>
                      {event.step}
                    </button>
                  )}
                </span>
                <span role="cell" className="cut type">
                  {event.type}
                </span>
                <span role="cell" className="cut" title={event.message}>
                  {event.message}
                </span>
              </div>
            );
          })}
        </div>
        {!shown.length && (
          <Text size="sm" c="dimmed" p="sm">
            {events.length ? "No matching events." : "No events yet."}
          </Text>
        )}
      </div>
    </>
  );
}
