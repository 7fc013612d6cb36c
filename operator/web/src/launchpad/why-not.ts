// Why a run cannot be launched as it stands; "" when it can.
import type { Session } from "./sessions";
import type { Check } from "./use-check";

export function whyNot(session: Session, { wanted, result, fresh, problem }: Check, trouble: string): string {
  const { kind } = session;
  if (!wanted.source) return kind === "source" ? "Enter code first" : `Choose a ${kind === "run" ? "run" : "job"} first`;
  if (trouble || problem) return trouble || problem;
  if (fresh && result?.selection) return "The op selection is not valid";
  if (fresh && result?.config.length)
    return `Run config has ${result.config.length === 1 ? "a problem" : `${result.config.length} problems`}`;
  if (kind === "definition" && result && !result.graphKnown) return result.why;
  const wrongTag = session.tags.find((tag) => !/^[^=]+=/.test(tag));
  if (wrongTag) return `The tag ${wrongTag} must be key=value`;
  return fresh ? "" : "Checking…";
}
