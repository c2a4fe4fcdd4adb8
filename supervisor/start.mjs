// `npm start`
import "./node-version.mjs";

await import("./src/main.ts");
