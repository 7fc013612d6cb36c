// Schedules or sensors, one a line.
import { Anchor, Text } from "@mantine/core";
import { Link } from "wouter";
import { jobPath, makerPath, runPath, type Maker } from "../api";
import { ahead, moment } from "../format";
import { MakerState } from "./state";
import { SuspendSwitch } from "./suspend";
import { TicksStrip } from "./ticks-strip";
import { LABELS, type Kind } from "./labels";

type Props = { kind: Kind; makers: Maker[]; now: number; onChange: () => void };

function Cells({ maker, now, onChange }: { maker: Maker; now: number; onChange: () => void }) {
  const { namespace } = maker;
  return (
    <>
      <span role="cell">
        <SuspendSwitch maker={maker} onChange={onChange} />
      </span>
      <span role="cell" className="cut">
        <Anchor component={Link} href={makerPath(maker)} fw={550}>
          {maker.name}
        </Anchor>{" "}
        <Text span size="xs" c="dimmed">
          {namespace}
        </Text>
      </span>
      <span role="cell" className="cut mono" title={maker.text}>
        {maker.text || "–"}
      </span>
      <span role="cell" className="cut">
        {maker.definition && (
          <Anchor component={Link} size="sm" href={jobPath({ namespace, name: maker.definition })}>
            {maker.definition}
          </Anchor>
        )}
      </span>
      <span role="cell">
        <MakerState maker={maker} />
      </span>
      <span role="cell">
        <TicksStrip ticks={maker.ticks} now={now} />
      </span>
      <span role="cell" className="cut">
        {maker.lastJob && (
          <Anchor component={Link} size="sm" href={runPath({ namespace, name: maker.lastJob })} title={maker.lastJob}>
            {maker.lastTick ? moment(maker.lastTick, now) : maker.lastJob}
          </Anchor>
        )}
      </span>
      <span role="cell" className="cut">
        {maker.nextTick && (
          <Text span size="sm" title={new Date(maker.nextTick).toLocaleString()}>
            {ahead(maker.nextTick, now)}
          </Text>
        )}
      </span>
    </>
  );
}

export function MakersTable({ kind, makers, now, onChange }: Props) {
  const heads = ["On", "Name", LABELS[kind].text, "Job", "State", "Last ticks", "Last run", kind === "schedules" ? "Next" : ""];
  return (
    <div className="table makers" role="table" aria-label={LABELS[kind].title}>
      <div className="row head" role="row">
        {heads.map((head, at) => (
          <span key={at} role={head ? "columnheader" : "cell"}>
            {head}
          </span>
        ))}
      </div>
      <div className="scroll" role="rowgroup" tabIndex={0} aria-label={`All ${kind}`}>
        {makers.map((maker) => (
          <div key={maker.uid} className="row" role="row">
            <Cells maker={maker} now={now} onChange={onChange} />
          </div>
        ))}
      </div>
    </div>
  );
}
