/** `npm start`: runs the platform until it is told to stop. Development only; in production an orchestrator does this. */
import { resolve } from "node:path";
import { firstAdministratorLine } from "./first-administrator.ts";
import { startPlatform } from "./platform.ts";
import { readSettings } from "./settings.ts";
import { createTerminal } from "./terminal.ts";

const started = performance.now();
const terminal = createTerminal((text) => void process.stdout.write(text));
const told = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => told.resolve());

try {
  const settings = readSettings(resolve(import.meta.dirname, "../.."), process.env, process.argv.slice(2));
  await using platform = await startPlatform(settings, terminal, process.env);
  const ready = await Promise.race([platform.ready.then(() => true), told.promise.then(() => false)]);
  if (ready) {
    const url = `${settings.scheme}://127.0.0.1:${settings.port}`;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    terminal.line(`ready ${url} (after ${seconds} s; Ctrl-C stops it)`);
    if (platform.newAdminPassword !== undefined) {
      const { adminEmail, adminPassword } = settings;
      terminal.line(firstAdministratorLine(adminEmail, adminPassword, platform.newAdminPassword));
      await platform.forgetAdminPassword();
    }
    terminal.line(
      `try: npx buf curl --http2-prior-knowledge -d '{"email":"you@example.com","password":"a long enough password","display_name":"You"}' ${url}/switchboard.auth.v1.AuthService/SignUp`,
    );
    await told.promise;
  }
  terminal.line("stopping");
} catch (error) {
  terminal.line((error as Error).message);
  process.exitCode = 1;
}
