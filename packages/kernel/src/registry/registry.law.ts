/** What every driver of the registry must do; `<driver>.test.ts` runs it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@switchboard/testkit/eventually";
import { type DriverSpec, type Exceptions, law } from "@switchboard/testkit/law";
import { pino } from "pino";
import type { Instance, Registration, Registry, Watch } from "./registry.ts";

export interface RegistryEngine extends AsyncDisposable {
  /** With the credential of a service: "identity", "auth" and "gateway" own switchboard.<name>.v1, and nothing else. */
  driver(service: string, timing: { readonly leaseMs: number; readonly renewMs: number }): DriverSpec;
  /** Breaks every connection; new ones are possible. */
  cutConnections(): Promise<void>;
}

export interface StoppableRegistryEngine extends RegistryEngine {
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface RegistryEngines {
  /** Empty at each call. */
  open(): Promise<RegistryEngine>;
  openStoppable(): Promise<StoppableRegistryEngine>;
}

const TIMING = { leaseMs: 2_000, renewMs: 600 } as const;
const IDENTITY = "switchboard.identity.v1.IdentityService";

export function registryLaw(name: string, engines: RegistryEngines, except: Exceptions = {}): void {
  law(`registry law: ${name}`, except, (proves) => {
    proves("an instance is seen with all that it registered", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchInstances("identity");
      assert.equal(watch.ageMs(), Number.POSITIVE_INFINITY);
      assert.deepEqual(watch.current(), []);
      await watch.ready;
      assert.deepEqual(watch.current(), []);
      const registration = instance({
        rpcServices: [IDENTITY, "switchboard.identity.v1.OtherService"],
        metadata: { zone: "a", "": 'quote " and \\ and ☎', large: "x".repeat(4_000) },
      });
      await identity.register(registration);
      const [seen] = await seesIds(watch, [registration.instanceId]);
      assert.ok(seen);
      const { registerTime, ...rest } = seen;
      assert.deepEqual(rest, registration);
      assert.ok(Number.isInteger(registerTime) && Math.abs(registerTime - Date.now()) < 60_000, String(registerTime));
      assert.ok(watch.ageMs() < 10_000);
      assert.equal(gateway.problem(), undefined);
    });

    proves("an instance without services and metadata is one", async () => {
      await using engine = await engines.open();
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchAll();
      await gateway.register(instance({ service: "gateway", instanceId: "g", rpcServices: [], metadata: {} }));
      const [seen] = await seesIds(watch, ["g"]);
      assert.deepEqual([seen?.rpcServices, seen?.metadata], [[], {}]);
    });

    proves("a change is heard within a second, the present value never", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchInstances("identity");
      using other = gateway.watchInstances("auth");
      await watch.ready;
      const heard: string[][] = [];
      const stop = watch.subscribe((values) => heard.push(values.map((value) => value.instanceId)));
      other.subscribe(() => assert.fail("nothing of auth changed"));

      const lease = await identity.register(instance({ instanceId: "a" }));
      await eventually(() => assert.deepEqual(heard, [["a"]]), { withinMs: 1_000 });
      await lease.end();
      await eventually(() => assert.deepEqual(heard, [["a"], []]), { withinMs: 1_000 });
      stop();
      await identity.register(instance({ instanceId: "b" }));
      await seesIds(watch, ["b"], 1_000);
      assert.equal(heard.length, 2);
    });

    proves("a listener that throws harms nobody else", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      using watch = identity.watchAll();
      using second = identity.watchAll();
      let heard = 0;
      watch.subscribe(() => {
        throw new Error("a fault of the listener");
      });
      watch.subscribe(() => heard++);
      await identity.register(instance({ instanceId: "a" }));
      await seesIds(second, ["a"]);
      assert.equal(heard, 1);
    });

    proves("lists are in byte order, and letter case counts", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using auth = await open(engine, "auth");
      for (const instanceId of ["b", "É", "B", "_", "a", "A"]) {
        await identity.register(instance({ instanceId, address: `127.0.0.1:1${instanceId.codePointAt(0)}` }));
      }
      await auth.register(instance({ service: "auth", instanceId: "z", rpcServices: [] }));
      using watch = identity.watchInstances("identity");
      using all = identity.watchAll();
      await seesIds(watch, ["A", "B", "_", "a", "b", "É"]);
      await seesIds(all, ["z", "A", "B", "_", "a", "b", "É"]);
    });

    proves("registering an instance again replaces what was known of it", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      using watch = identity.watchAll();
      await identity.register(instance({ instanceId: "a", contractHash: "old" }));
      const [before] = await seesIds(watch, ["a"]);
      await identity.register(instance({ instanceId: "a", contractHash: "new" }));
      const after = await eventually(() => {
        assert.equal(watch.current()[0]?.contractHash, "new");
        return watch.current();
      });
      assert.deepEqual(after, [{ ...before, contractHash: "new" }]);
    });

    proves("packages of others, and their names, are refused", async () => {
      await using engine = await engines.open();
      await using auth = await open(engine, "auth");
      const refused = [
        instance({ service: "auth", rpcServices: [IDENTITY] }),
        instance({ service: "auth", rpcServices: ["switchboard.auth.v1.AuthService", "Unpackaged"] }),
        instance({ service: "auth", rpcServices: ["switchboard.auth.v1.inner.AuthService"] }),
        instance({ service: "auth", rpcServices: ["SWITCHBOARD.AUTH.V1.AuthService"] }),
        instance({ service: "identity", rpcServices: [] }),
      ];
      for (const registration of refused) {
        await assert.rejects(auth.register(registration), { name: "AppError", reason: "PACKAGE_NOT_OWNED" });
      }
      using watch = auth.watchAll();
      await watch.ready;
      assert.deepEqual(watch.current(), []);
      assert.equal(auth.problem(), undefined);
    });

    proves("nobody ends the instance of another service", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using auth = await open(engine, "auth");
      await identity.register(instance({ instanceId: "same" }));
      const lease = await auth.register(instance({ service: "auth", instanceId: "same", rpcServices: [] }));
      using watch = identity.watchAll();
      await seesIds(watch, ["same", "same"]);
      await lease.end();
      const [left] = await seesIds(watch, ["same"]);
      assert.equal(left?.service, "identity");
    });

    proves("a lease is renewed by itself", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchAll();
      await identity.register(instance({ instanceId: "a" }));
      await seesIds(watch, ["a"]);
      watch.subscribe(() => assert.fail("the list changed"));
      await delay(2 * TIMING.leaseMs);
      assert.deepEqual(idsOf(watch), ["a"]);
    });

    proves("a killed process is gone within its lease and a second, and not at once", async () => {
      await using engine = await engines.open();
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchAll();
      await registerAndKill(engine, instance({ instanceId: "killed" }));
      const killTime = performance.now();
      await seesIds(watch, ["killed"], 1_000);
      await seesIds(watch, [], TIMING.leaseMs + 1_000);
      const aliveMs = performance.now() - killTime;
      assert.ok(aliveMs > TIMING.leaseMs - TIMING.renewMs - 500, `gone after ${aliveMs} ms`);
    });

    proves("closing the registry ends its leases", async () => {
      await using engine = await engines.open();
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchAll();
      {
        await using identity = await open(engine, "identity");
        await identity.register(instance({ instanceId: "a" }));
        await seesIds(watch, ["a"]);
      }
      await seesIds(watch, [], 1_000);
    });

    proves("broken connections lose no instance and no change", async () => {
      await using engine = await engines.open();
      await using identity = await open(engine, "identity");
      await using gateway = await open(engine, "gateway");
      using watch = gateway.watchAll();
      await identity.register(instance({ instanceId: "a" }));
      await seesIds(watch, ["a"]);
      const heard: string[] = [];
      watch.subscribe((values) => heard.push(values.map((value) => value.instanceId).join()));
      for (let round = 0; round < 3; round++) await engine.cutConnections();
      await identity.register(instance({ instanceId: "b", address: "127.0.0.1:2" }));
      await seesIds(watch, ["a", "b"], 2_000);
      await delay(TIMING.leaseMs + 200);
      assert.deepEqual(heard, ["a,b"]);
      await eventually(() => assert.equal(gateway.problem(), undefined));
    });

    proves(
      "while the engine is away the last list holds, and after its return nobody lapses before a full lease",
      async () => {
        await using engine = await engines.openStoppable();
        await using identity = await open(engine, "identity");
        await using gateway = await open(engine, "gateway");
        using watch = gateway.watchAll();
        await identity.register(instance({ instanceId: "alive" }));
        await registerAndKill(engine, instance({ instanceId: "killed", address: "127.0.0.1:2" }));
        await seesIds(watch, ["alive", "killed"]);

        await engine.stop();
        await eventually(() => assert.match(gateway.problem() ?? "", /registry/));
        await delay(TIMING.leaseMs + 500);
        assert.deepEqual(idsOf(watch), ["alive", "killed"]);
        assert.ok(watch.ageMs() > TIMING.leaseMs, `${watch.ageMs()} ms`);

        watch.subscribe((values) =>
          assert.ok(
            values.some(({ instanceId }) => instanceId === "alive"),
            "it lapsed",
          ),
        );
        await engine.start();
        const returnTime = performance.now();
        await eventually(() => assert.ok(watch.ageMs() < TIMING.leaseMs), { withinMs: 3_000 });
        assert.equal(gateway.problem(), undefined);
        assert.deepEqual(idsOf(watch), ["alive", "killed"]);
        await seesIds(watch, ["alive"], TIMING.leaseMs + 2_000);
        assert.ok(performance.now() - returnTime > TIMING.leaseMs / 2, "the killed one lapsed before a lease");
        await delay(TIMING.leaseMs);
        assert.deepEqual(idsOf(watch), ["alive"]);
      },
    );

    proves("registering waits for an engine that is away, ending does not", async () => {
      await using engine = await engines.openStoppable();
      await using identity = await open(engine, "identity");
      await engine.stop();
      const registered = identity.register(instance({ instanceId: "early" }));
      await eventually(() => assert.match(identity.problem() ?? "", /registry/));
      await engine.start();
      const lease = await registered;
      using watch = identity.watchAll();
      await seesIds(watch, ["early"]);
      await engine.stop();
      const endTime = performance.now();
      await lease.end();
      assert.ok(performance.now() - endTime < 2_000, "end() waited for the engine");
      assert.deepEqual(idsOf(watch), ["early"]);
    });
  });
}

async function open(engine: RegistryEngine, service: string): Promise<Registry> {
  const driver = engine.driver(service, TIMING);
  const module = await import(driver.module);
  return module[driver.open]({ ...driver.options, log: pino({ level: "silent" }) });
}

/** Registers from a process of its own, which is killed then. */
async function registerAndKill(engine: RegistryEngine, registration: Registration): Promise<void> {
  const driver = engine.driver(registration.service, TIMING);
  const program = join(import.meta.dirname, "registrant.fake.ts");
  const child = spawn(process.execPath, [program, JSON.stringify(driver), JSON.stringify(registration)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [said] = await Promise.race([once(child.stdout, "data"), exited]);
  child.kill("SIGKILL");
  await exited;
  assert.equal(String(said), "registered\n");
}

function instance(part: Partial<Registration>): Registration {
  return {
    service: "identity",
    instanceId: "0198c0de-0000-7000-8000-000000000001",
    address: "127.0.0.1:1",
    version: "0.1.0",
    contractHash: "c0de",
    rpcServices: [IDENTITY],
    metadata: {},
    ...part,
  };
}

function idsOf(watch: Watch<Instance>): string[] {
  return watch.current().map(({ instanceId }) => instanceId);
}

function seesIds(watch: Watch<Instance>, ids: readonly string[], withinMs = 5_000): Promise<readonly Instance[]> {
  return eventually(
    () => {
      assert.deepEqual(idsOf(watch), ids);
      return watch.current();
    },
    { withinMs },
  );
}
