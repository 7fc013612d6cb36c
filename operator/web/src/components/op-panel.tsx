// What there is to know of an op: what it does, takes, gives, and how it is configured.
import { Badge, Code, Group, Stack, Table, Text } from "@mantine/core";
import type { Graph, Op, Steps } from "../api";
import { json } from "../format";
import { Block } from "./text";

const short = (text: string) => (text.length > 400 ? `${text.slice(0, 400)}…` : text);

function Given({ input, steps, onPick }: { input: Op["inputs"][number]; steps?: Steps; onPick?: (op: string) => void }) {
  if (input.sources.length)
    return (
      <>
        {input.sources.map(({ op, output }) => {
          const value = steps?.[op]?.outputs?.[output];
          return (
            <div key={`${op}.${output}`}>
              <button type="button" className="plain link" onClick={() => onPick?.(op)}>
                {op}
                {output !== "result" && `.${output}`}
              </button>
              {input.ordering && (
                <Text span size="xs" c="dimmed">
                  {" "}
                  order only
                </Text>
              )}
              {value !== undefined && (
                <>
                  {" "}
                  = <Code className="value">{short(value)}</Code>
                </>
              )}
            </div>
          );
        })}
      </>
    );
  if (input.literal !== null) return <Code className="value">{short(input.literal)}</Code>;
  if (input.jobInput) return <>input {input.jobInput} of the job</>;
  if (input.default !== null)
    return (
      <>
        run config, else <Code className="value">{short(input.default)}</Code>
      </>
    );
  return <>run config</>;
}

export function Inputs({ op, steps, onPick }: { op: Op; steps?: Steps; onPick?: (op: string) => void }) {
  if (!op.inputs.length)
    return (
      <Text size="sm" c="dimmed">
        This op has no inputs.
      </Text>
    );
  return (
    <Table className="facts" aria-label="Inputs">
      <Table.Tbody>
        {op.inputs.map((input) => (
          <Table.Tr key={input.name}>
            <Table.Th>
              {input.name}
              {!input.ordering && (
                <Text span size="xs" c="dimmed">
                  {" "}
                  {input.type}
                </Text>
              )}
            </Table.Th>
            <Table.Td>
              <Given input={input} steps={steps} onPick={onPick} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

export function OpPanel({ op, graph, onPick }: { op: Op; graph: Graph; onPick?: (op: string) => void }) {
  const given = new Set(op.inputs.flatMap((input) => input.sources.map((source) => source.op)));
  const after = op.upstream.filter((up) => !given.has(up));
  const down = graph.ops.filter((other) => other.upstream.includes(op.name)).map((other) => other.name);
  return (
    <Stack gap="sm" data-testid="op-panel">
      <Text fw={650}>{op.name}</Text>
      {op.description && (
        <Text size="sm" className="prose">
          {op.description}
        </Text>
      )}
      <Group gap={6}>
        {op.maxRetries > 0 && (
          <Badge variant="default" tt="none">
            {op.maxRetries} retries
          </Badge>
        )}
        {op.timeout !== null && (
          <Badge variant="default" tt="none">
            timeout {op.timeout}s
          </Badge>
        )}
        {op.resources.map((name) => (
          <Badge key={name} variant="default" tt="none">
            resource {name}
          </Badge>
        ))}
        {Object.entries(op.tags).map(([key, value]) => (
          <Badge key={key} variant="default" tt="none">
            {key}={value}
          </Badge>
        ))}
      </Group>
      <Text size="sm" fw={600}>
        Inputs
      </Text>
      <Inputs op={op} onPick={onPick} />
      {after.length > 0 && (
        <Text size="sm">
          Waits for{" "}
          {after.map((name) => (
            <button key={name} type="button" className="plain link gap" onClick={() => onPick?.(name)}>
              {name}
            </button>
          ))}
        </Text>
      )}
      <Text size="sm" fw={600}>
        Outputs
      </Text>
      <Text size="sm">{op.outputs.map((output) => output.name + (output.required ? "" : " (optional)")).join(", ") || "none"}</Text>
      {down.length > 0 && (
        <Text size="sm">
          Used by{" "}
          {down.slice(0, 30).map((name) => (
            <button key={name} type="button" className="plain link gap" onClick={() => onPick?.(name)}>
              {name}
            </button>
          ))}
        </Text>
      )}
      <Text size="sm" fw={600}>
        Config
      </Text>
      {op.config ? (
        <Block label="config schema" text={json(JSON.stringify(op.config))} />
      ) : (
        <Text size="sm" c="dimmed">
          This op has no config.
        </Text>
      )}
    </Stack>
  );
}
