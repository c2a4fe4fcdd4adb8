/** The program that the suite starts in its server mode. */
import { runCompatServer } from "./compat-server.ts";
import { serveConformance } from "./served.ts";

await runCompatServer(serveConformance);
