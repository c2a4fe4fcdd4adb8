/** What the person at the terminal sees: short lines; of the logs only what is a warning or worse. */

export interface Terminal {
  line(text: string): void;
  /** A line of a process's output: JSON of the logger, or anything else. */
  logLine(name: string, line: string): void;
}

const shown = new Set(["warn", "error", "fatal"]);

export function createTerminal(write: (text: string) => void): Terminal {
  return {
    line: (text) => write(`${text}\n`),
    logLine(name, line) {
      const entry = parse(line);
      if (entry === undefined) write(`${name}: ${line}\n`);
      else if (shown.has(entry.level))
        write(`${name}: ${entry.level}: ${entry.msg}${entry.err ? `: ${entry.err.message}` : ""}\n`);
    },
  };
}

function parse(line: string): { level: string; msg: string; err?: { message: string } } | undefined {
  try {
    const entry = JSON.parse(line);
    return typeof entry?.level === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}
