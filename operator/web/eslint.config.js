// Lint rules for the page. Layout is prettier's; types are checked by tsc.
import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import ts from "typescript-eslint";

const FEATURES = ["graph", "jobs", "launchpad", "makers", "pages", "run", "runs"];

export default defineConfig(
  globalIgnores(["node_modules", "src/generated"]),
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [ts.configs.strictTypeChecked, hooks.configs.flat.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // `items[at]!` where the index is known to be inside: noUncheckedIndexedAccess makes each such place say so.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true, allowNullish: true }],
      // ask() fails with an Error or not at all.
      "@typescript-eslint/use-unknown-in-catch-callback-variable": "off",
      // The page is not compiled by React Compiler, of which this rule speaks.
      "react-hooks/incompatible-library": "off",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
    },
  },
  {
    files: ["src/components/**", "src/hooks/**", "src/*.ts", "src/states.tsx"],
    rules: {
      // What all folders build on imports none of them.
      "no-restricted-imports": ["error", { patterns: FEATURES.map((name) => ({ regex: `^\\.{1,2}/(?:.*/)?${name}/` })) }],
    },
  },
);
