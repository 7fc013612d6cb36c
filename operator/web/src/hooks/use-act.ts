// Does something that the server may refuse, and says while it is done.
import { useState } from "react";
import { notifyError } from "../notify-error";

export function useAct(): [busy: boolean, act: (what: () => Promise<void>) => Promise<void>] {
  const [busy, setBusy] = useState(false);
  const act = async (what: () => Promise<void>) => {
    setBusy(true);
    try {
      await what();
    } catch (problem) {
      notifyError(problem);
    } finally {
      setBusy(false);
    }
  };
  return [busy, act];
}
