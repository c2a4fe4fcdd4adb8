/** The settings that a peer may announce (RFC 9113, section 6.5.2), with the checks that go with each. */
import { ConnectionFault, ErrorCode } from "./error-code.ts";

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

export const INITIAL_WINDOW_BYTES = 65_535;
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

/** As they are before a peer says something else. */
export class PeerSettings {
  headerTableBytes = 4_096;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowBytes = INITIAL_WINDOW_BYTES;
  maxFrameBytes = 16_384;
  maxHeaderListBytes = Number.POSITIVE_INFINITY;

  /**
   * Takes the payload of a SETTINGS frame; later values of a setting hold, unknown settings are ignored.
   * @throws ConnectionFault where a value is not allowed.
   */
  read(bytes: Buffer, start: number, end: number, fromServer: boolean): void {
    for (let at = start; at < end; at += 6) this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2), fromServer);
  }

  #set(id: number, value: number, fromServer: boolean): void {
    switch (id) {
      case Setting.HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        return;
      case Setting.ENABLE_PUSH:
        if (value > (fromServer ? 0 : 1)) throw wrong(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH");
        return;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return;
      case Setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) throw wrong(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE");
        this.initialWindowBytes = value;
        return;
      case Setting.MAX_FRAME_SIZE:
        if (value < 16_384 || value > 16_777_215) throw wrong(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE");
        this.maxFrameBytes = value;
        return;
      case Setting.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        return;
    }
  }
}

function wrong(code: number, setting: string): ConnectionFault {
  return new ConnectionFault(code, `the peer's ${setting} is not allowed`);
}
