/** The cases that every driver of a port must pass. A driver that cannot says which and why, and is held to that too. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

/** How to open a driver, in this process or in another. */
export interface DriverSpec {
  /** A file: URL. */
  readonly module: string;
  /** The exported function. It is called with `options`, which are JSON, and a `log`. */
  readonly open: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export type Exceptions = Readonly<Record<string, string>>;

/** Names a case and what proves it. */
export type Case = (name: string, prove: () => Promise<void>) => void;

/**
 * Runs the cases for one driver. An excepted case must fail: one that passes, or that the law does not have, is an
 * exception nobody needs, and fails.
 * @param except The excepted cases by name, each with its reason.
 */
export function law(name: string, except: Exceptions, cases: (proves: Case) => void): void {
  describe(name, () => {
    const unknown = new Set(Object.keys(except));
    cases((caseName, prove) => {
      const reason = except[caseName];
      if (reason === undefined) return void it(caseName, prove);
      unknown.delete(caseName);
      it(`except: ${caseName} (${reason})`, async () => {
        await assert.rejects(prove, () => true, "it passes: remove the exception");
      });
    });
    for (const caseName of unknown) {
      it(`except: ${caseName}`, () => assert.fail("the law has no such case: remove the exception"));
    }
  });
}
