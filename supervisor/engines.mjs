// `npm run engines`
import "./node-version.mjs";

await import("./src/engines-command.ts");
