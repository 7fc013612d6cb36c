// The Launchpad's tabs: what is being prepared in each, kept in the browser.
export type Kind = "source" | "definition" | "run";

export type Session = {
  id: string;
  name: string; // given by a person; "" takes that of what is run
  kind: Kind;
  at: string; // namespace/name of the job or run
  opened: boolean; // whether the defaults of what is run have been taken over
  namespace: string; // where code is run
  code: string;
  image: string;
  job: string;
  selection: string;
  config: string;
  mode: string;
  most: number | null; // steps at once
  tags: string[];
};

export type Sessions = { open: Session[]; active: string; closed: Session[] };

const MOST_OPEN = 20;
const MOST_CLOSED = 10;

export const EXAMPLE = `from podgraph import job, op


@op
def return_one():
    return 1


@op
def add_two(i: int):
    return i + 2


@op
def multi_three(i: int):
    return i * 3


@job
def my_job():
    multi_three(add_two(return_one()))
`;

export function made(kind: Kind, at: string, namespace = ""): Session {
  return {
    id: Math.random().toString(36).slice(2),
    name: "",
    kind,
    at,
    opened: false,
    namespace,
    code: EXAMPLE,
    image: "",
    job: "",
    selection: "",
    config: "",
    mode: "PodPerStep",
    most: null,
    tags: [],
  };
}

export function titleOf(session: Session): string {
  return session.name || session.at.split("/")[1] || (session.kind === "source" ? session.job || "Python file" : "New run");
}

/** The tabs with one in front that runs this: the one there is, else a new one. */
export function showing(sessions: Sessions, kind: Kind, at: string): Sessions {
  const found = sessions.open.find((session) => session.id === sessions.active && session.kind === kind && session.at === at);
  const other = found ?? sessions.open.findLast((session) => session.kind === kind && session.at === at);
  if (other) return { ...sessions, active: other.id };
  return adding({ ...sessions, open: sessions.open.filter((session) => !isUntouched(session)) }, made(kind, at));
}

/** Whether nobody has done anything in a tab yet. */
function isUntouched(session: Session): boolean {
  const { id, namespace, ...rest } = session;
  return JSON.stringify({ ...made("source", ""), id, namespace }) === JSON.stringify({ ...made("source", ""), ...rest, id, namespace });
}

export function adding(sessions: Sessions, session: Session): Sessions {
  return { ...sessions, open: [...sessions.open, session].slice(-MOST_OPEN), active: session.id };
}

export function changing(sessions: Sessions, id: string, change: Partial<Session>): Sessions {
  return { ...sessions, open: sessions.open.map((session) => (session.id === id ? { ...session, ...change } : session)) };
}

export function closing(sessions: Sessions, id: string): Sessions {
  const at = sessions.open.findIndex((session) => session.id === id);
  const open = sessions.open.filter((session) => session.id !== id);
  const rest = open.length ? open : [made("source", "")];
  return {
    open: rest,
    active: sessions.active === id ? rest[Math.min(at, rest.length - 1)]!.id : sessions.active,
    closed: [...sessions.closed, ...sessions.open.filter((session) => session.id === id)].slice(-MOST_CLOSED),
  };
}

export function reopening(sessions: Sessions): Sessions {
  const last = sessions.closed.at(-1);
  return last ? { ...adding(sessions, last), closed: sessions.closed.slice(0, -1) } : sessions;
}
