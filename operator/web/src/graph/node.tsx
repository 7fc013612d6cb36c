// One op in a graph: in a run its state, else what it is for; dimmed when it is not selected.
import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { cssColor } from "../states";

export type OpNodeData = { label: string; note: string; state: string; attempt: number; out: boolean; found: boolean };

export function OpNode({ data, selected }: NodeProps<Node<OpNodeData>>) {
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
      {data.state ? (
        <div className="op-note">
          <i className={data.state === "Running" ? "dot pulse" : "dot"} style={{ background: cssColor(data.state) }} />
          {data.state}
          {data.attempt > 1 && ` · attempt ${data.attempt}`}
        </div>
      ) : (
        data.note && (
          <div className="op-note">
            <span className="cut" title={data.note}>
              {data.note}
            </span>
          </div>
        )
      )}
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </div>
  );
}
