/**
 * One partition that a member reads: up to where everything is done, and what is done beyond. Both are committed, the
 * second as a note beside the offset, so that whoever reads it next repeats neither what was done nor failed attempts.
 */

/** Kafka keeps up to 4,096 bytes beside an offset (offset.metadata.max.bytes). */
const NOTE_LENGTH = 2_000;
/** So that writing the note costs a bounded time. */
const NOTE_STEPS = 4_096;

export interface Committed {
  readonly offset: number;
  readonly note: string;
}

export class Share {
  readonly topic: string;
  readonly partition: number;
  /** The offset after the last that was read. */
  #next: number;
  /** Read and not done, with the attempts that failed; ascending, since a Map keeps the order in which it was filled. */
  readonly #undone = new Map<number, number>();
  readonly #before: Note;
  #changed = false;

  constructor(topic: string, partition: number, { offset, note }: Committed) {
    this.topic = topic;
    this.partition = partition;
    this.#next = offset;
    this.#before = parseNote(offset, note);
  }

  /** An event was read; offsets come in their order. Attempts that failed so far; undefined: it was done by another. */
  admit(offset: number): number | undefined {
    this.#next = offset + 1;
    if (offset < this.#before.upTo && !this.#before.undone.has(offset)) {
      this.#changed = true;
      return undefined;
    }
    const attempts = this.#before.undone.get(offset) ?? 0;
    this.#undone.set(offset, attempts);
    return attempts;
  }

  done(offset: number): void {
    this.#undone.delete(offset);
    this.#changed = true;
  }

  /** One attempt more was in vain. */
  failed(offset: number, attempts: number): void {
    this.#undone.set(offset, attempts);
    this.#changed = true;
  }

  /** What Kafka is to know, where it does not know it yet. */
  take(): Committed | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    const [offset = this.#next] = this.#undone.keys();
    return { offset, note: this.#note(offset) };
  }

  /** Kafka could not be told. */
  untold(): void {
    this.#changed = true;
  }

  /** "UPTO;FIRST-LAST,…;OFFSETxATTEMPTS,…", all relative to the committed offset; empty where nothing is done beyond it. */
  #note(base: number): string {
    const ranges: [number, number][] = [];
    const attempts: string[] = [];
    let upTo = this.#next;
    let length = 0;
    let steps = 0;
    for (const [offset, failed] of this.#undone) {
      const last = ranges.at(-1);
      const begins = last === undefined || offset !== last[1] + 1;
      length += (begins ? 24 : 0) + (failed > 0 ? 16 : 0);
      steps += 1;
      if (length > NOTE_LENGTH || steps > NOTE_STEPS) {
        upTo = offset;
        break;
      }
      if (begins) ranges.push([offset, offset]);
      else last[1] = offset;
      if (failed > 0) attempts.push(`${offset - base}x${failed}`);
    }
    const [first] = ranges;
    if (first === undefined || (ranges.length === 1 && first[1] + 1 === upTo && attempts.length === 0)) return "";
    const undone = ranges.map(([from, to]) => `${from - base}-${to - base}`);
    return `${upTo - base};${undone.join(",")};${attempts.join(",")}`;
  }
}

interface Note {
  readonly upTo: number;
  readonly undone: ReadonlyMap<number, number>;
}

/** A note that is none, another program's for instance, says nothing: then everything from the offset on is read. */
function parseNote(base: number, text: string): Note {
  const undone = new Map<number, number>();
  const [, upTo, ranges = "", attempts = ""] = /^(\d+);([\d,-]*);([\d,x]*)$/.exec(text) ?? [];
  if (upTo === undefined) return { upTo: base, undone };
  for (const range of ranges.split(",").filter(Boolean)) {
    const [from = 0, to = 0] = range.split("-").map(Number);
    if (to - from + undone.size > NOTE_STEPS) return { upTo: base, undone: new Map() };
    for (let offset = from; offset <= to; offset++) undone.set(base + offset, 0);
  }
  for (const attempt of attempts.split(",").filter(Boolean)) {
    const [offset = 0, failed = 0] = attempt.split("x").map(Number);
    undone.set(base + offset, failed);
  }
  return { upTo: base + Number(upTo), undone };
}

export function shareKey({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`;
}
