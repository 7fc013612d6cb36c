// The tabs of the Launchpad: one for each run that is being prepared.
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useState } from "react";
import { titleOf, type Session, type Sessions } from "./sessions";

type Props = {
  sessions: Sessions;
  onPick: (id: string) => void;
  onClose: (id: string) => void;
  onName: (id: string, name: string) => void;
  onAdd: () => void;
  onReopen: () => void;
};

function NameField({ session, onDone }: { session: Session; onDone: (name: string | null) => void }) {
  return (
    <input
      className="tab-name"
      aria-label="Name of the tab"
      defaultValue={titleOf(session)}
      maxLength={60}
      ref={(element) => element?.select()}
      onBlur={(event) => onDone(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") onDone(event.currentTarget.value);
        if (event.key === "Escape") onDone(null);
      }}
    />
  );
}

export function SessionTabs({ sessions, onPick, onClose, onName, onAdd, onReopen }: Props) {
  const [naming, setNaming] = useState("");
  return (
    <nav className="tabs" aria-label="Prepared runs">
      <ul>
        {sessions.open.map((session) => {
          const title = titleOf(session);
          const isActive = session.id === sessions.active;
          return (
            <li key={session.id} data-active={isActive || undefined}>
              {naming === session.id ? (
                <NameField
                  session={session}
                  onDone={(name) => {
                    if (name !== null) onName(session.id, name.trim());
                    setNaming("");
                  }}
                />
              ) : (
                <button
                  type="button"
                  className="tab"
                  aria-current={isActive || undefined}
                  title={isActive ? `${title} (double-click or press F2 to rename)` : title}
                  onClick={() => onPick(session.id)}
                  onDoubleClick={() => setNaming(session.id)}
                  onKeyDown={(event) => event.key === "F2" && setNaming(session.id)}
                >
                  {title}
                </button>
              )}
              <button type="button" className="tab-close" aria-label={`Close ${title}`} onClick={() => onClose(session.id)}>
                ×
              </button>
            </li>
          );
        })}
      </ul>
      <Tooltip label="Prepare another run">
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="New tab" onClick={onAdd}>
          +
        </ActionIcon>
      </Tooltip>
      {sessions.closed.length > 0 && (
        <Button size="compact-xs" variant="subtle" color="gray" onClick={onReopen}>
          Reopen {titleOf(sessions.closed.at(-1)!)}
        </Button>
      )}
    </nav>
  );
}
