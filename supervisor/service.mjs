// `npm run service -- identity`
import "./node-version.mjs";

await import("./src/one-more.ts");
