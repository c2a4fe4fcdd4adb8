/** The law of the bus: what every driver must do, as tests. A driver's own test file runs it in three lines. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deliveryCases } from "./law/delivery.law.ts";
import { failureCases } from "./law/failures.law.ts";
import type { BusWorld, Cases } from "./law/world.ts";

const cases: Cases = { ...deliveryCases, ...failureCases };

export interface BusLawOptions {
  /** Cases that the driver does not pass, by name, each with the reason. One that passes nevertheless fails. */
  readonly except?: Readonly<Record<string, string>>;
}

export function busLaw(name: string, openWorld: () => Promise<BusWorld>, options: BusLawOptions = {}): void {
  const { except = {} } = options;
  describe(`bus law: ${name}`, () => {
    for (const [caseName, check] of Object.entries(cases)) {
      it(caseName, async () => {
        const run = async () => {
          await using world = await openWorld();
          await check(world);
        };
        if (caseName in except) await assert.rejects(run, `passes: take back the exception "${except[caseName]}"`);
        else await run();
      });
    }
    it("every exception names a case", () => {
      assert.deepEqual(
        Object.keys(except).filter((caseName) => !(caseName in cases)),
        [],
      );
    });
  });
}
