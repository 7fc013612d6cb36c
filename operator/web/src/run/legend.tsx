// What the marks of the timeline mean.
const MARKS = [
  ["bar wait", "waiting"],
  ["bar prepare", "pod prepared"],
  ["bar retried", "failed attempt"],
] as const;

export function Legend() {
  return (
    <span className="legend">
      {MARKS.map(([look, text]) => (
        <span key={text}>
          <i className={look} /> {text}
        </span>
      ))}
    </span>
  );
}
