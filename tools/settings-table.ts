/** The settings table of the README, out of the schemas that read the settings. Run, it writes; its test compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const root = resolve(import.meta.dirname, "..");
export const README = join(root, "README.md");

/** Where settings are read, the export that has them, and whom they are for. */
const sources = [
  ["supervisor/src/settings.ts", "settingsShape", "`npm start`"],
  ["packages/kernel/src/config/platform-settings.ts", "platformSettings", "each process"],
  ["gateway/src/config.ts", "gatewaySettings", "gateway"],
  ["services/auth/src/config.ts", "authSettings", "Auth"],
] as const;

interface Schema {
  readonly description?: string;
  safeParse(value: unknown): { success: boolean; data?: unknown };
}

/** The README with its table made anew. */
export async function withSettingsTable(readme: string): Promise<string> {
  const rows: string[] = [];
  for (const [file, name, audience] of sources) {
    const module = await import(pathToFileURL(join(root, file)).href);
    for (const [variable, schema] of Object.entries(module[name] as Record<string, Schema>)) {
      const { success, data } = schema.safeParse(undefined);
      const standard = !success ? "required" : data === undefined ? "" : `\`${[data].flat().join(",")}\``;
      rows.push(`| \`${variable}\` | ${audience} | ${standard} | ${schema.description ?? ""} |`);
    }
  }
  const table = ["| setting | for | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
  return readme.replace(
    /(<!-- settings: .*? -->\n).*?(<!-- \/settings -->)/s,
    (_, begin, end) => `${begin}\n${table}\n\n${end}`,
  );
}

if (import.meta.main) writeFileSync(README, await withSettingsTable(readFileSync(README, "utf8")));
