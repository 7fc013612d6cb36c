// A line between two ops, along the way that was laid out for it, with round corners.
import { BaseEdge, getBezierPath, type Edge, type EdgeProps } from "@xyflow/react";
import type { Point } from "./layout";

export type LaidOutEdge = Edge<{ points?: Point[] }>;

const ROUND = 8;

/** The point on the way from one to another, so far from the first, at most half of the way. */
function towards(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = Math.min(ROUND, length / 2) / length;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

function along(points: Point[]): string {
  const parts = [`M ${points[0]!.x} ${points[0]!.y}`];
  for (let at = 1; at < points.length - 1; at++) {
    const [corner, into, out] = [points[at]!, towards(points[at]!, points[at - 1]!), towards(points[at]!, points[at + 1]!)];
    parts.push(`L ${into.x} ${into.y} Q ${corner.x} ${corner.y} ${out.x} ${out.y}`);
  }
  const end = points.at(-1)!;
  return `${parts.join(" ")} L ${end.x} ${end.y}`;
}

export function OpEdge({ data, markerEnd, ...ends }: EdgeProps<LaidOutEdge>) {
  const path = data?.points ? along(data.points) : getBezierPath(ends)[0];
  return <BaseEdge id={ends.id} path={path} markerEnd={markerEnd} />;
}
