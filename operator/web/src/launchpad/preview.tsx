// The graph of what is run: what is selected stands out, and the op that is picked is explained.
import { Box, Loader } from "@mantine/core";
import { lazy, Suspense, useMemo, useState } from "react";
import type { Graph } from "../api";
import { OpPanel } from "../components/op-panel";

const GraphView = lazy(() => import("../graph/view"));

export function Preview({ graph, selected }: { graph: Graph; selected: string[] | null }) {
  const [picked, setPicked] = useState("");
  const chosen = useMemo(() => (selected ? new Set(selected) : null), [selected]);
  const op = graph.ops.find((item) => item.name === picked);
  return (
    <>
      <Suspense fallback={<Loader m="xl" />}>
        <GraphView graph={graph} selected={chosen} picked={picked} onPick={setPicked} />
      </Suspense>
      {op && (
        <Box className="scroll" mah="40%" pt="sm" tabIndex={0} role="group" aria-label={`About ${op.name}`}>
          <OpPanel op={op} graph={graph} onPick={setPicked} />
        </Box>
      )}
    </>
  );
}
