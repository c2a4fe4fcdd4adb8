/**
 * Serves a page whose scripts are this repository's own modules: what is in node_modules as it is, generated TypeScript with
 * its types stripped. An import map stands in for a bundler.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const packages = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"];

export async function servePage(): Promise<AsyncDisposable & { readonly url: string }> {
  const page = `<!doctype html><title>test</title><script type="importmap">${JSON.stringify(await importMap())}</script>`;
  const server = createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
      if (path === "/") {
        response.setHeader("content-type", "text/html");
        response.end(page);
        return;
      }
      const text = await readFile(join(root, path), "utf8");
      response.setHeader("content-type", "text/javascript");
      response.end(path.endsWith(".ts") ? stripTypeScriptTypes(text) : text);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function importMap() {
  const imports: Record<string, string> = {};
  for (const name of packages) {
    const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
    const { exports } = JSON.parse(text) as {
      exports: Record<string, string | { import?: string | { default: string } }>;
    };
    for (const [path, target] of Object.entries(exports)) {
      const module = typeof target === "string" ? target : target.import;
      const file = typeof module === "string" ? module : module?.default;
      if (file?.endsWith(".js")) imports[join(name, path)] = `/${join("node_modules", name, file)}`;
    }
  }
  return { imports };
}
