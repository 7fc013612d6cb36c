// A graph of ops, drawn: colored by state in a run, by what is selected in the Launchpad.
import "@xyflow/react/dist/base.css";
import { Center, Loader, Text, useComputedColorScheme } from "@mantine/core";
import {
  Background,
  Controls,
  Handle,
  MiniMap,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  type Edge,
  type Node,
  type NodeProps,
} from "@xyflow/react";
import { useEffect, useMemo, useState } from "react";
import type { Graph, Steps } from "../api";
import { cssColor } from "../states";
import { layout, NODE, type Places } from "./layout";

type Data = { label: string; state: string; attempt: number; out: boolean; found: boolean };

function OpNode({ data, selected }: NodeProps<Node<Data>>) {
  const dot = data.label.lastIndexOf(".");
  return (
    <div
      className={`op-node${data.out ? " out" : ""}${selected ? " picked" : ""}${data.found ? " found" : ""}`}
      data-op={data.label}
      data-state={data.state}
      style={{ borderLeftColor: data.state ? cssColor(data.state) : undefined }}
    >
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <div className="cut op-name" title={data.label}>
        {dot > 0 && <span className="op-path">{data.label.slice(0, dot + 1)}</span>}
        {data.label.slice(dot + 1)}
      </div>
      {data.state && (
        <div className="op-state">
          <i className={data.state === "Running" ? "dot pulse" : "dot"} style={{ background: cssColor(data.state) }} />
          {data.state}
          {data.attempt > 1 && ` · attempt ${data.attempt}`}
        </div>
      )}
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </div>
  );
}

const nodeTypes = { op: OpNode };

type Props = {
  graph: Graph;
  steps?: Steps;
  selected?: Set<string> | null;
  picked?: string;
  found?: string;
  onPick?: (op: string) => void;
};

function Flow({ graph, steps, selected, picked, found, onPick }: Props) {
  const [places, setPlaces] = useState<Places | null>(null);
  const [problem, setProblem] = useState("");
  const scheme = useComputedColorScheme("light");
  const flow = useReactFlow();
  useEffect(() => {
    let here = true;
    setPlaces(null);
    layout(graph).then(
      (done) => here && setPlaces(done),
      (error: unknown) => here && setProblem(String(error)),
    );
    return () => {
      here = false;
    };
  }, [graph]);
  const nodes = useMemo<Node<Data>[]>(
    () =>
      graph.ops.map((op) => ({
        id: op.name,
        type: "op",
        position: places?.get(op.name) ?? { x: 0, y: 0 },
        width: NODE.width,
        height: NODE.height,
        selected: op.name === picked,
        draggable: false,
        connectable: false,
        ariaLabel: `op ${op.name}${steps?.[op.name] ? `, ${steps[op.name]!.state}` : ""}`,
        data: {
          label: op.name,
          state: steps?.[op.name]?.state ?? "",
          attempt: steps?.[op.name]?.attempt ?? 0,
          out: selected ? !selected.has(op.name) : steps ? Object.keys(steps).length > 0 && !steps[op.name] : false,
          found: !!found && op.name.toLowerCase().includes(found.toLowerCase()),
        },
      })),
    [graph, places, steps, selected, picked, found],
  );
  const edges = useMemo<Edge[]>(
    () =>
      graph.ops.flatMap((op) =>
        op.upstream.map((up) => ({
          id: `${up}→${op.name}`,
          source: up,
          target: op.name,
          focusable: false,
          className: selected && !(selected.has(up) && selected.has(op.name)) ? "out" : "",
          animated: steps?.[op.name]?.state === "Running",
        })),
      ),
    [graph, steps, selected],
  );
  useEffect(() => {
    const first = found && graph.ops.find((op) => op.name.toLowerCase().includes(found.toLowerCase()));
    if (first && places) void flow.fitView({ nodes: [{ id: first.name }], maxZoom: 1, duration: 200 });
  }, [found, graph, places, flow]);
  if (problem) return <Text c="red">The graph cannot be drawn: {problem}</Text>;
  if (!places)
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
      colorMode={scheme}
      fitView
      fitViewOptions={{ maxZoom: 1.1, padding: 0.15 }}
      minZoom={0.02}
      nodesConnectable={false}
      elementsSelectable
      onlyRenderVisibleElements={graph.ops.length > 150}
      onNodeClick={(_, node) => onPick?.(node.id)}
      onNodesChange={(changes) => {
        for (const change of changes) if (change.type === "select" && change.selected) onPick?.(change.id);
      }}
      deleteKeyCode={null}
      proOptions={{ hideAttribution: false }}
    >
      <Background gap={20} />
      <Controls showInteractive={false} />
      {graph.ops.length > 30 && <MiniMap pannable zoomable nodeColor={(node) => cssColor((node.data as Data).state)} />}
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
