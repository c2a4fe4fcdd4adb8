/** For tests: the other end of a connection that sends whatever bytes it is told to, and tells which frames came back. */
import type { Socket } from "node:net";
import { FrameType, PREFACE } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export class RawPeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  #over = false;
  #wake: (() => void)[] = [];

  constructor(socket: Socket, hasPreface: boolean) {
    this.socket = socket;
    let skip = hasPreface ? PREFACE.length : 0;
    const reader = new FrameReader(16_777_215, (type, flags, id, bytes, start, end) => {
      this.frames.push({ type, flags, id, payload: Buffer.from(bytes.subarray(start, end)) });
      return true;
    });
    socket.on("data", (chunk: Buffer) => {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (chunk.length > skipped) reader.push(chunk.subarray(skipped));
      this.#notify();
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#over = true;
        this.#notify();
        resolve();
      });
    });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The first frame that fits, now or later. @throws where the connection ends without it. */
  async frame(type: number, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      const found = this.frames.find((frame) => frame.type === type && fits(frame));
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`no frame of type ${type}; there were ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async goawayCode(): Promise<number> {
    return (await this.frame(FrameType.GOAWAY)).payload.readUInt32BE(4);
  }

  async resetCode(id: number): Promise<number> {
    return (await this.frame(FrameType.RST_STREAM, (frame) => frame.id === id)).payload.readUInt32BE();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
