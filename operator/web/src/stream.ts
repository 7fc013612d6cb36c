// Server-sent events, listened to until one closes them, whatever becomes of the server meanwhile.
import { refusedBy } from "./api";

const AGAIN_MS = 3_000;

type On = Record<string, (told: never) => void>;

/**
 * Listens to a stream of the API; `on` is called by the kind of event. `lost` is called whenever the line breaks, with
 * the server's reason when it refuses. A browser tries again by itself after a break, but not after a refusal; that is
 * done here. Returns what closes it.
 */
export function listen(path: string, on: On, lost: (why: string) => void): () => void {
  const ended = new AbortController();
  let events: EventSource;
  let timer = 0;
  const open = () => {
    events = new EventSource(`/api${path}`);
    for (const [kind, tell] of Object.entries(on))
      events.addEventListener(kind, (event) => (tell as (told: unknown) => void)(JSON.parse((event as MessageEvent<string>).data)));
    events.onerror = () => {
      lost("");
      if (events.readyState !== EventSource.CLOSED) return;
      timer = window.setTimeout(open, AGAIN_MS);
      void why();
    };
  };
  // An EventSource does not tell why it was refused, so the same is asked for once more.
  const why = async () => {
    const asked = new AbortController();
    ended.signal.addEventListener("abort", () => asked.abort());
    try {
      const answer = await fetch(`/api${path}`, { signal: asked.signal });
      if (!answer.ok) lost((await refusedBy(answer)).message);
      asked.abort();
    } catch {
      // It does not answer at all; it is tried again.
    }
  };
  open();
  return () => {
    ended.abort();
    clearTimeout(timer);
    events.close();
  };
}
