import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `make web` builds into the Python package, which serves it. For work on the page: `npx vite` beside `podgraph ui`.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../podgraph/server/static",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // those that know light-dark()
    assetsInlineLimit: 0, // the page's policy takes no inline scripts
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // One file for all that the first look needs: each further one is a further question to the server.
      output: { codeSplitting: { groups: [{ name: "first", test: /src\/main\.tsx/, includeDependenciesRecursively: true }] } },
    },
    chunkSizeWarningLimit: 1600, // elk's worker, which is loaded with the first graph
  },
  server: { proxy: { "/api": { target: "http://localhost:3000", changeOrigin: true } } },
});
