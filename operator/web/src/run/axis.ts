// The marks of a time axis.
import { duration } from "../format";

export function ticksOf(span: number): number {
  const wanted = span / 6;
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 432e5, 864e5];
  return steps.find((step) => step >= wanted) ?? 864e5 * Math.ceil(wanted / 864e5);
}

export const tickText = (ms: number) => (ms < 1000 && ms > 0 ? `${ms}ms` : duration(ms).replace(".0s", "s"));
