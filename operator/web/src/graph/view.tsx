// A graph of ops, drawn: colored by state in a run, by what is selected in the Launchpad.
import "@xyflow/react/dist/base.css";
import { Center, Loader, Text, useComputedColorScheme } from "@mantine/core";
import {
  Background,
  Controls,
  MarkerType,
  MiniMap,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  type Node,
  type NodeHandle,
} from "@xyflow/react";
import { useEffect, useMemo, useState } from "react";
import type { Graph, Op, Steps } from "../api";
import { cssColor } from "../states";
import { layout, edgeId, NODE, type Layout } from "./layout";
import { OpEdge, type LaidOutEdge } from "./edge";
import { OpNode, type OpNodeData } from "./node";

const nodeTypes = { op: OpNode };
const edgeTypes = { line: OpEdge };
const ALL_DRAWN = 150; // with more ops, only those in view
const FIT = { maxZoom: 1.1, padding: 0.08 };
const READABLE = 0.4; // zoom
const TOP = 700; // of the graph's own height, in pixels

// Where lines begin and end on a node. Told, as its size is, so that nodes out of view need not be drawn to be measured.
const HANDLES: NodeHandle[] = [
  { type: "target", position: Position.Top, x: NODE.width / 2, y: 0, width: 0, height: 0 },
  { type: "source", position: Position.Bottom, x: NODE.width / 2, y: NODE.height, width: 0, height: 0 },
];

type Props = {
  graph: Graph;
  steps?: Steps;
  selected?: Set<string> | null;
  picked?: string;
  found?: string;
  onPick?: (op: string) => void;
};

const noteOf = (op: Op) => op.description.split("\n")[0] || (op.config ? "has config" : "");

function useLayout(graph: Graph): [Layout | null, string] {
  const [laid, setLaid] = useState<{ of: Graph; layout: Layout } | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let here = true;
    layout(graph).then(
      (done) => here && setLaid({ of: graph, layout: done }),
      (error: unknown) => here && setProblem(String(error)),
    );
    return () => {
      here = false;
    };
  }, [graph]);
  return [laid?.of === graph ? laid.layout : null, problem];
}

function Flow({ graph, steps, selected, picked, found, onPick }: Props) {
  const [laid, problem] = useLayout(graph);
  const scheme = useComputedColorScheme("light");
  const flow = useReactFlow();
  const nodes = useMemo<Node<OpNodeData>[]>(
    () =>
      graph.ops.map((op) => {
        const step = steps?.[op.name];
        return {
          id: op.name,
          type: "op",
          position: laid?.places.get(op.name) ?? { x: 0, y: 0 },
          width: NODE.width,
          height: NODE.height,
          measured: NODE,
          handles: HANDLES,
          selected: op.name === picked,
          draggable: false,
          connectable: false,
          ariaLabel: `op ${op.name}${step ? `, ${step.state}` : ""}`,
          data: {
            label: op.name,
            note: noteOf(op),
            state: step?.state ?? "",
            attempt: step?.attempt ?? 0,
            out: selected ? !selected.has(op.name) : steps ? Object.keys(steps).length > 0 && !step : false,
            found: !!found && op.name.toLowerCase().includes(found.toLowerCase()),
          },
        };
      }),
    [graph, laid, steps, selected, picked, found],
  );
  const edges = useMemo<LaidOutEdge[]>(
    () =>
      graph.ops.flatMap((op) =>
        op.upstream.map((up) => ({
          id: edgeId(up, op.name),
          type: "line",
          source: up,
          target: op.name,
          focusable: false,
          data: { points: laid?.lines.get(edgeId(up, op.name)) },
          markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: "var(--xy-edge-stroke)" },
          className: selected && !(selected.has(up) && selected.has(op.name)) ? "out" : "",
          animated: steps?.[op.name]?.state === "Running",
        })),
      ),
    [graph, laid, steps, selected],
  );
  useEffect(() => {
    const first = found && graph.ops.find((op) => op.name.toLowerCase().includes(found.toLowerCase()));
    if (first && laid) void flow.fitView({ nodes: [{ id: first.name }], maxZoom: 1, duration: 200 });
  }, [found, graph, laid, flow]);
  // A large graph opens at its beginning, small enough to see much and large enough to read: what is in view is drawn.
  const large = graph.ops.length > ALL_DRAWN;
  const top = useMemo(
    () => graph.ops.filter((op) => (laid?.places.get(op.name)?.y ?? 0) < TOP).map((op) => ({ id: op.name })),
    [graph, laid],
  );
  if (problem) return <Text c="red">The graph cannot be drawn: {problem}</Text>;
  if (!laid)
    return (
      <Center h="100%">
        <Loader size="sm" />
      </Center>
    );
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      colorMode={scheme}
      onInit={() => void flow.fitView(large ? { ...FIT, minZoom: READABLE, nodes: top } : FIT)}
      fitViewOptions={FIT}
      minZoom={0.02}
      nodesConnectable={false}
      elementsSelectable
      onlyRenderVisibleElements={large}
      onNodeClick={(_, node) => onPick?.(node.id)}
      onNodesChange={(changes) => {
        for (const change of changes) if (change.type === "select" && change.selected) onPick?.(change.id);
      }}
      deleteKeyCode={null}
      proOptions={{ hideAttribution: false }}
    >
      <Background gap={20} />
      <Controls showInteractive={false} />
      {graph.ops.length > 30 && <MiniMap pannable zoomable nodeColor={(node) => cssColor((node.data as OpNodeData).state)} />}
    </ReactFlow>
  );
}

export default function GraphView(props: Props) {
  return (
    <ReactFlowProvider>
      <div className="graph" data-testid="graph">
        <Flow {...props} />
      </div>
    </ReactFlowProvider>
  );
}
