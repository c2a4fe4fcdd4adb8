/** A Kafka that asks who one is: over TLS with names and passwords, each service with the rights that provisioning gives. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort } from "@switchboard/engines/free-port";
import type { KafkaServer } from "@switchboard/engines/kafka";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import { cert, key } from "../../rpc/certificate.fake.ts";
import { type KafkaBusOptions, openKafkaBus } from "../kafka.ts";
import { event, textOf, watch } from "../law/world.ts";
import { quick, skip, startEngine } from "./engine.fake.ts";
import { provisionKafka } from "./provision.ts";

const log = pino({ level: "silent" });
const PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule";

describe("a Kafka with access control", { skip }, () => {
  const running = new AsyncDisposableStack();
  let brokers: string;
  let engine: KafkaServer;

  /** As that user, whose name need not be the service's. */
  function open(service: string, user = service, options: Partial<KafkaBusOptions> = {}) {
    const sasl = { mechanism: "plain", username: user, password: `${user}-secret` } as const;
    const bus = openKafkaBus({ brokers: [brokers], service, log, tls: { ca: cert }, sasl, ...quick, ...options });
    running.use(bus);
    return bus;
  }

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
    running.defer(() => rm(folder, { recursive: true, force: true }));
    const pem = join(folder, "certificate.pem");
    await writeFile(pem, key + cert);
    const port = await freePort();
    const users = ["identity", "auth"].map((name) => `user_${name}="${name}-secret"`).join(" ");
    engine = running.use(
      await startEngine({
        listeners: [{ name: "SECURE", protocol: "SASL_SSL", port }],
        settings: {
          "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
          // Whoever comes over the plain listener, the administrator here, has no name.
          "super.users": "User:ANONYMOUS",
          "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
          "listener.name.secure.plain.sasl.jaas.config": `${PLAIN} required ${users};`,
          "listener.name.secure.ssl.keystore.type": "PEM",
          "listener.name.secure.ssl.keystore.location": pem,
        },
      }),
    );
    brokers = `127.0.0.1:${port}`;
    await provisionKafka({
      brokers: [engine.brokers],
      tls: undefined,
      sasl: undefined,
      prefix: "switchboard",
      services: ["identity", "auth"],
    });
  });
  after(() => running[Symbol.asyncDispose]());

  it("the rights of a service are enough for all that the bus does", async () => {
    const identity = open("identity");
    const auth = open("auth");
    const heard: string[] = [];
    let mended = false;
    const seen = await watch(auth, { topics: "*", maxAttempts: 1 }, (one) => {
      if (textOf(one) === "bad" && !mended) throw new Error("no");
    });
    await auth.broadcast({ topics: ["identity"], handle: (one) => void heard.push(textOf(one)), onGap: () => {} });
    await identity.publish([event("k", "1"), event("k", "bad")]);
    await eventually(() => assert.deepEqual([seen.texts, heard], [["1"], ["1", "bad"]]));
    mended = true;
    const [letter] = await eventually(async () => {
      const letters = await auth.listDeadLetters("g", 10);
      assert.equal(letters.length, 1);
      return letters;
    });
    assert.equal(await auth.redrive("g", letter?.deadLetterId ?? ""), true);
    await eventually(() => assert.deepEqual(seen.texts, ["1", "bad"]));
    await auth.replay({ group: "g", topic: "identity", fromTime: 0, toTime: Date.now() + 60_000 });
    await eventually(() => assert.deepEqual(seen.texts, ["1", "bad", "1", "bad"]));
    await eventually(async () => assert.equal(await auth.lag("g"), 0));
    assert.equal(auth.problem(), undefined);
  });

  it("nobody publishes into the topic of another, nor joins its groups", async () => {
    open("identity");
    const posing = open("identity", "auth");
    await assert.rejects(posing.publish([event("k", "forged")]), { reason: "PERMISSION_DENIED" });
    const seen = await watch(posing, { group: "mine" });
    assert.match(posing.problem() ?? "", /group mine cannot be joined/);
    assert.deepEqual(seen.texts, []);
  });

  it("a wrong password and an unknown authority are told as a bus that cannot be reached", async () => {
    const wrong = { mechanism: "plain", username: "auth", password: "wrong" } as const;
    for (const options of [{ sasl: wrong }, { tls: {} }]) {
      const bus = open("auth", "auth", options);
      await eventually(() => assert.match(bus.problem() ?? "", /cannot be reached/));
      await assert.rejects(bus.publish([event("k", "", { source: "auth" })]), { reason: "SERVICE_UNAVAILABLE" });
    }
  });
});
