/** For tests: frames as bytes, right and wrong ones. */
import { Flag, FrameType } from "./frame.ts";
import { encodeBlock, type Fields } from "./hpack-encoder.ts";

export const EMPTY_SETTINGS = frame(FrameType.SETTINGS, 0, 0);
export const SETTINGS_ACK = frame(FrameType.SETTINGS, Flag.ACK, 0);
export const GET: Fields = [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"];
export const POST: Fields = [":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/"];

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, payload]);
}

export function headers(id: number, fields: Fields, endStream: boolean): Buffer {
  return frame(FrameType.HEADERS, Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0), id, encodeBlock(fields));
}

export function data(id: number, bytes: number, endStream = false): Buffer {
  return frame(FrameType.DATA, endStream ? Flag.END_STREAM : 0, id, Buffer.alloc(bytes));
}

/** RST_STREAM, WINDOW_UPDATE, and one setting: their payloads are numbers. */
export function number(type: number, id: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, id, payload);
}

export function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id);
  payload.writeUInt32BE(value, 2);
  return frame(FrameType.SETTINGS, 0, 0, payload);
}
