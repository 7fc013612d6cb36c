// Where the ops of a graph stand and how its lines run: by elk in a worker, or plain layers where there are very many.
import ELK, { type ElkExtendedEdge } from "elkjs/lib/elk-api";
import workerUrl from "elkjs/lib/elk-worker.min.js?url";
import type { Graph } from "../api";

export type Point = { x: number; y: number };
export type Layout = { places: Map<string, Point>; lines: Map<string, Point[]> };

export const NODE = { width: 200, height: 56 };
const MOST_FOR_ELK = 600;
const GAP = { x: 32, y: 48 };

let elk: InstanceType<typeof ELK> | null = null;

export const edgeId = (from: string, to: string) => `${from}→${to}`;

export async function layout(graph: Graph): Promise<Layout> {
  if (graph.ops.length > MOST_FOR_ELK) return { places: layers(graph), lines: new Map() };
  const known = new Set(graph.ops.map((op) => op.name));
  const edges = graph.ops.flatMap((op) => op.upstream.filter((up) => known.has(up)).map((up) => [up, op.name] as const));
  elk ??= new ELK({ workerFactory: () => new Worker(workerUrl) });
  const done = await elk.layout({
    id: "root",
    layoutOptions: {
      "elk.algorithm": "layered",
      "elk.direction": "DOWN",
      "elk.edgeRouting": "ORTHOGONAL",
      "elk.spacing.nodeNode": String(GAP.x),
      "elk.layered.spacing.nodeNodeBetweenLayers": String(GAP.y),
      "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
      "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    },
    children: graph.ops.map((op) => ({ id: op.name, ...NODE })),
    edges: edges.map(([from, to]) => ({ id: edgeId(from, to), sources: [from], targets: [to] })),
  });
  const lines = new Map<string, Point[]>();
  for (const edge of (done.edges as ElkExtendedEdge[] | undefined) ?? []) {
    const section = edge.sections?.[0];
    if (section) lines.set(edge.id, [section.startPoint, ...(section.bendPoints ?? []), section.endPoint]);
  }
  return { places: new Map((done.children ?? []).map((node) => [node.id, { x: node.x ?? 0, y: node.y ?? 0 }])), lines };
}

function layers(graph: Graph): Map<string, Point> {
  const depth = new Map<string, number>();
  const rows: string[][] = [];
  for (const op of graph.ops) {
    const level = Math.max(-1, ...op.upstream.map((up) => depth.get(up) ?? -1)) + 1;
    depth.set(op.name, level);
    (rows[level] ??= []).push(op.name);
  }
  const places = new Map<string, Point>();
  rows.forEach((row, level) =>
    row.forEach((name, at) => places.set(name, { x: (at - row.length / 2) * (NODE.width + GAP.x), y: level * (NODE.height + GAP.y) })),
  );
  return places;
}
