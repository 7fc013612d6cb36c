// Where the ops of a graph stand: elk in a worker, or plain layers where there are very many.
import ELK from "elkjs/lib/elk-api";
import workerUrl from "elkjs/lib/elk-worker.min.js?url";
import type { Graph } from "../api";

export type Places = Map<string, { x: number; y: number }>;

export const NODE = { width: 200, height: 56 };
const MOST_FOR_ELK = 600;
const GAP = { x: 36, y: 52 };

let elk: InstanceType<typeof ELK> | null = null;

export async function layout(graph: Graph): Promise<Places> {
  const known = new Set(graph.ops.map((op) => op.name));
  const edges = graph.ops.flatMap((op) => op.upstream.filter((up) => known.has(up)).map((up) => [up, op.name] as const));
  if (graph.ops.length > MOST_FOR_ELK) return layers(graph);
  elk ??= new ELK({ workerFactory: () => new Worker(workerUrl) });
  const done = await elk.layout({
    id: "root",
    layoutOptions: {
      "elk.algorithm": "layered",
      "elk.direction": "DOWN",
      "elk.spacing.nodeNode": String(GAP.x),
      "elk.layered.spacing.nodeNodeBetweenLayers": String(GAP.y),
      "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    },
    children: graph.ops.map((op) => ({ id: op.name, ...NODE })),
    edges: edges.map(([from, to], at) => ({ id: String(at), sources: [from], targets: [to] })),
  });
  return new Map((done.children ?? []).map((node) => [node.id, { x: node.x ?? 0, y: node.y ?? 0 }]));
}

function layers(graph: Graph): Places {
  const depth = new Map<string, number>();
  const rows: string[][] = [];
  for (const op of graph.ops) {
    const level = Math.max(-1, ...op.upstream.map((up) => depth.get(up) ?? -1)) + 1;
    depth.set(op.name, level);
    (rows[level] ??= []).push(op.name);
  }
  const places: Places = new Map();
  rows.forEach((row, level) =>
    row.forEach((name, at) =>
      places.set(name, { x: (at - row.length / 2) * (NODE.width + GAP.x), y: level * (NODE.height + GAP.y) }),
    ),
  );
  return places;
}
