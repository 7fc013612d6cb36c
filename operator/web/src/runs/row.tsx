// One run in a list. Plain HTML: the first look at a list waits for its rows, and components of the library take longer.
import { memo } from "react";
import { Link } from "wouter";
import { jobPath, runPath, type Summary } from "../api";
import { age, duration } from "../format";
import { RunState } from "../states";

type Props = {
  run: Summary;
  now: number;
  chosen: boolean;
  onChoose: (run: Summary, through: boolean) => void;
  onTag?: (tag: string) => void;
};

function lasted(run: Summary, now: number): string {
  if (!run.start) return "";
  return duration((run.completion ? Date.parse(run.completion) : run.finished ? NaN : now) - Date.parse(run.start));
}

export const RunRow = memo(function RunRow({ run, now, chosen, onChoose, onTag }: Props) {
  return (
    <>
      <span role="cell">
        <input
          type="checkbox"
          aria-label={`Choose ${run.name}`}
          checked={chosen}
          onChange={(event) => onChoose(run, (event.nativeEvent as MouseEvent).shiftKey)}
        />
      </span>
      <span role="cell">
        <RunState run={run} />
      </span>
      <span role="cell" className="cut">
        <Link className="link strong" href={runPath(run)} title={run.message}>
          {run.name}
        </Link>{" "}
        <small className="quiet">
          {run.namespace}
          {run.rerunOf && ` · rerun of ${run.rerunOf}`}
        </small>
      </span>
      <span role="cell" className="cut">
        {run.definition ? (
          <Link className="link" href={jobPath({ namespace: run.namespace, name: run.definition })}>
            {run.definition}
          </Link>
        ) : (
          <span className="quiet">{run.code}</span>
        )}
      </span>
      <span role="cell" className="cut">
        {run.maker ? (
          <Link className="link" href={`/${run.maker.replace("/", `/${run.namespace}/`)}`}>
            {run.maker.slice(run.maker.indexOf("/") + 1)}
          </Link>
        ) : (
          <small className="quiet">by hand</small>
        )}
      </span>
      <span role="cell" className="number">
        {run.progress}
      </span>
      <span role="cell" className="number">
        {lasted(run, now)}
      </span>
      <span role="cell" className="number" title={new Date(run.created).toLocaleString()}>
        {age(run.created, now)}
      </span>
      <span role="cell" className="cut">
        {Object.entries(run.tags).map(([key, value]) => (
          <Tag key={key} tag={`${key}=${value}`} onTag={onTag} />
        ))}
      </span>
    </>
  );
});

function Tag({ tag, onTag }: { tag: string; onTag?: (tag: string) => void }) {
  if (!onTag) return <span className="tag">{tag}</span>;
  return (
    <button type="button" className="tag press" onClick={() => onTag(tag)} title={`Only runs with ${tag}`}>
      {tag}
    </button>
  );
}
