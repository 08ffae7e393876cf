import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

/** The floors of the client: protocol < session < ui. Imports only go down. */
const above = (...floors) => ({
  "no-restricted-imports": [
    "error",
    {
      patterns: floors.map(({ group, message }) => ({ group, message })),
    },
  ],
});
const ui = {
  group: ["**/ui", "**/ui/**", "react", "react-dom", "react-dom/*", "react/*"],
  message: "Only the user interface knows the screen.",
};
const session = {
  group: ["**/session", "**/session/**"],
  message: "The protocol layer knows no session.",
};

export default tseslint.config(
  { ignores: ["node_modules", "dist", "../mosaic/static"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
      ],
      eqeqeq: ["error", "always"],
    },
  },
  {
    files: ["src/ui/**/*.{ts,tsx}", "src/main.tsx"],
    plugins: { "react-hooks": hooks },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
    },
  },
  { files: ["src/protocol/**/*.ts"], rules: above(ui, session) },
  { files: ["src/session/**/*.ts"], rules: above(ui) },
);
