// Runs on any Node, to say what is missing before TypeScript is read.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  console.error(
    `Switchboard runs on Node 24; this is ${process.version}. On Linux and Windows "npm ci" brings it (do not omit optional dependencies); elsewhere install Node 24 and run again.`,
  );
  process.exit(1);
}
