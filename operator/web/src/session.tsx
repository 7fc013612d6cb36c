// Who is signed in: the form to do so, where the server asks for it (auth: token), and who one is in the header.
import { Alert, Button, Center, Group, Loader, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { createContext, useCallback, useContext, useEffect, useState, type SyntheticEvent, type ReactNode } from "react";
import { ask, SIGNED_OUT, type Session } from "./api";
import { bootstrap } from "./bootstrap";

const AGAIN_MS = 5_000; // an open page learns this late that its session has ended, if nothing else tells it

const Known = createContext<{ session: Session; signOut: () => void } | null>(null);

/** Shows what is inside to who is signed in, and the form to all others. */
export function SignedIn({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session | null>(bootstrap.session);
  const [problem, setProblem] = useState("");
  const look = useCallback(
    () =>
      ask<Session>("/session").then(
        (found) => {
          setSession(found);
          setProblem("");
        },
        (error: Error) => setProblem(error.message),
      ),
    [],
  );
  useEffect(() => {
    if (!bootstrap.session) void look();
    const out = () => setSession((old) => (old ? { ...old, user: null } : old));
    window.addEventListener(SIGNED_OUT, out);
    return () => window.removeEventListener(SIGNED_OUT, out);
  }, [look]);
  const watched = session?.mode === "token" && session.user !== null;
  useEffect(() => {
    if (!watched && !problem) return;
    const timer = setInterval(() => void look(), problem ? 2_000 : AGAIN_MS);
    return () => clearInterval(timer);
  }, [watched, problem, look]);
  const signOut = useCallback(() => void ask<Session>("/session", "DELETE").then(setSession, () => {}), []);

  if (!session) return <Center h="100vh">{problem ? <Alert color="red">{problem}</Alert> : <Loader size="sm" />}</Center>;
  if (session.user === null)
    return session.mode === "token" ? (
      <SignIn onDone={setSession} />
    ) : (
      <Center h="100vh">
        <Alert color="red">The proxy does not send your user name.</Alert>
      </Center>
    );
  return <Known.Provider value={{ session, signOut }}>{children}</Known.Provider>;
}

function SignIn({ onDone }: { onDone: (session: Session) => void }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const send = (event: SyntheticEvent) => {
    event.preventDefault();
    setBusy(true);
    ask<Session>("/session", "POST", { token: token.trim() }).then(
      (session) => {
        setToken("");
        onDone(session);
      },
      (error: Error) => {
        setProblem(error.message);
        setBusy(false);
      },
    );
  };
  return (
    <Center mih="100vh" p="md" component="main">
      <Paper withBorder p="lg" w={440} maw="100%">
        <form onSubmit={send}>
          <Stack>
            <Title order={1} size="h3">
              Sign in to podgraph
            </Title>
            <PasswordInput
              label="Kubernetes token"
              description="The output of kubectl create token. The server sends it only to the cluster and keeps it until you sign out."
              autoComplete="off"
              autoFocus
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={problem || undefined}
            />
            <Button type="submit" loading={busy} disabled={!token.trim()}>
              Sign in
            </Button>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}

/** The name of who is signed in, "" where nobody has to. */
export const useUser = (): string => useContext(Known)?.session.user ?? "";

/** Who one is; nothing where all have the same rights. */
export function Account() {
  const known = useContext(Known);
  if (!known || known.session.mode === "none") return null;
  return (
    <Group gap="xs" wrap="nowrap">
      <Text size="sm" c="dimmed" truncate maw={260} data-testid="user">
        {known.session.user}
      </Text>
      {known.session.mode === "token" && (
        <Button size="compact-sm" variant="subtle" onClick={known.signOut}>
          Sign out
        </Button>
      )}
    </Group>
  );
}
