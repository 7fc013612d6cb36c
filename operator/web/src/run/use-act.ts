// Does something that the server may refuse, and says while it is done.
import { useState } from "react";
import { refuse } from "../refuse";

export function useAct(): [busy: boolean, act: (what: () => Promise<void>) => Promise<void>] {
  const [busy, setBusy] = useState(false);
  const act = async (what: () => Promise<void>) => {
    setBusy(true);
    try {
      await what();
    } catch (problem) {
      refuse(problem);
    } finally {
      setBusy(false);
    }
  };
  return [busy, act];
}
