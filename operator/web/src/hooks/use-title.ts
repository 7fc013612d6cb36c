// What the browser calls the page.
import { useEffect } from "react";

export function useTitle(text: string): void {
  useEffect(() => {
    document.title = `${text} · podgraph`;
    return () => {
      document.title = "podgraph";
    };
  }, [text]);
}
