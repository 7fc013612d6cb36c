import { ActionIcon, Anchor, AppShell, Group, Loader, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { lazy, Suspense } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { RunsPage } from "./pages/runs";
import { Account } from "./session";

const RunPage = lazy(() => import("./pages/run"));
const LaunchpadPage = lazy(() => import("./pages/launchpad"));
const JobsPage = lazy(() => import("./pages/jobs"));
const JobPage = lazy(() => import("./pages/job"));
const MakersPage = lazy(() => import("./pages/makers"));
const MakerPage = lazy(() => import("./pages/maker"));

const PLACES = [
  ["/runs", "Runs"],
  ["/jobs", "Jobs"],
  ["/schedules", "Schedules"],
  ["/sensors", "Sensors"],
  ["/launchpad", "Launchpad"],
] as const;

const KINDS = ["schedules", "sensors"] as const;

function Header() {
  const [at] = useLocation();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap">
      <Group gap="xl" wrap="nowrap">
        <Anchor component={Link} href="/runs" underline="never" c="inherit" className="brand">
          <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
            <path d="M5 5 L11 11 L17 5 M11 11 L11 18" className="brand-line" />
            <circle cx="5" cy="5" r="3" className="brand-a" />
            <circle cx="17" cy="5" r="3" className="brand-b" />
            <circle cx="11" cy="11" r="3" className="brand-a" />
            <circle cx="11" cy="18" r="3" className="brand-b" />
          </svg>
          <Text fw={700}>podgraph</Text>
        </Anchor>
        <Group component="nav" gap={4} wrap="nowrap" aria-label="Pages">
          {PLACES.map(([path, label]) => (
            <Anchor
              key={path}
              component={Link}
              href={path}
              underline="never"
              className="place"
              aria-current={at.startsWith(path) ? "page" : undefined}
            >
              {label}
            </Anchor>
          ))}
        </Group>
      </Group>
      <Group gap="sm" wrap="nowrap">
        <Account />
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={dark ? "Use light colors" : "Use dark colors"}
          onClick={() => setColorScheme(dark ? "light" : "dark")}
        >
          {dark ? "☀" : "☾"}
        </ActionIcon>
      </Group>
    </Group>
  );
}

export function App() {
  return (
    <AppShell header={{ height: 48 }}>
      <AppShell.Header>
        <Header />
      </AppShell.Header>
      <AppShell.Main className="main">
        <Suspense fallback={<Loader m="xl" />}>
          <Switch>
            <Route path="/runs">
              <RunsPage />
            </Route>
            <Route path="/runs/:namespace/:name">
              {(at) => <RunPage key={`${at.namespace}/${at.name}`} namespace={at.namespace} name={at.name} />}
            </Route>
            <Route path="/jobs">
              <JobsPage />
            </Route>
            <Route path="/jobs/:namespace/:name">
              {(at) => <JobPage key={`${at.namespace}/${at.name}`} namespace={at.namespace} name={at.name} />}
            </Route>
            {KINDS.map((kind) => (
              <Route key={kind} path={`/${kind}`}>
                <MakersPage key={kind} kind={kind} />
              </Route>
            ))}
            {KINDS.map((kind) => (
              <Route key={`one of ${kind}`} path={`/${kind}/:namespace/:name`}>
                {(at) => <MakerPage key={`${at.namespace}/${at.name}`} kind={kind} namespace={at.namespace} name={at.name} />}
              </Route>
            ))}
            <Route path="/launchpad">
              <LaunchpadPage />
            </Route>
            <Route>
              <Redirect to="/runs" replace />
            </Route>
          </Switch>
        </Suspense>
      </AppShell.Main>
    </AppShell>
  );
}
