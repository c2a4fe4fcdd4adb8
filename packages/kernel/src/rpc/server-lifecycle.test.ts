import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { AuditService, Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { reasonOf } from "./errors.ts";
import { rawHttp1 } from "./test/raw-request.ts";
import { protocols, type ServerUnderTest, serverUnderTest } from "./test/server-under-test.ts";

const reasonIs = (reason: string) => (error: unknown) => {
  assert.equal(reasonOf(error), reason, String(error));
  return true;
};

/** Handlers that hang until their signal ends them, or until they are let go. */
function hanging() {
  const started = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  const watch = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    started.resolve();
  };
  return {
    started: started.promise,
    aborted: aborted.promise,
    letGo: () => letGo.resolve(),
    handlers: {
      identity: {
        getUser: async (_: unknown, { signal }: { signal: AbortSignal }) => {
          watch(signal);
          await letGo.promise;
          return { user: { userId: "late" } };
        },
      },
      audit: {
        async *watchEvents(_: unknown, { signal }: { signal: AbortSignal }) {
          yield { event: { eventId: "first" } };
          watch(signal);
          await letGo.promise;
        },
      },
    },
  };
}

describe("a deadline that passes in the handler", () => {
  for (const protocol of protocols) {
    test(`answers DEADLINE_EXCEEDED in time and aborts the handler's signal, over ${protocol}`, async () => {
      const { handlers, aborted, letGo } = hanging();
      await using under = await serverUnderTest(handlers);
      const headers = await under.fromOutside("ada");
      // The client itself waits longer: the header alone says how long the server may take.
      const name = protocol.startsWith("grpc") ? "grpc-timeout" : "connect-timeout-ms";
      headers.set(name, protocol.startsWith("grpc") ? "150m" : "150");
      const client = under.client(IdentityService, protocol, headers);
      await assert.rejects(client.getUser({ userId: "me" }), reasonIs("DEADLINE_EXCEEDED"));
      assert.ok(await aborted);
      letGo();
      await eventually(() => assert.ok(under.lines.some((line) => line.code === "deadline_exceeded")));
    });
  }

  test("ends a stream too, after what was sent before", async () => {
    const { handlers, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const headers = await under.fromOutside("ada");
    headers.set("grpc-timeout", "150m");
    const got: (string | undefined)[] = [];
    const read = async () => {
      for await (const { event } of under.client(AuditService, "grpc", headers).watchEvents({}))
        got.push(event?.eventId);
    };
    await assert.rejects(read(), reasonIs("DEADLINE_EXCEEDED"));
    assert.deepEqual(got, ["first"]);
    letGo();
  });
});

describe("a client that goes away", () => {
  for (const protocol of protocols) {
    test(`ends the handler's signal, over ${protocol}`, async () => {
      const { handlers, started, aborted, letGo } = hanging();
      await using under = await serverUnderTest(handlers);
      const client = under.client(IdentityService, protocol, await under.fromOutside("ada"));
      const gone = new AbortController();
      const call = client.getUser({ userId: "me" }, { signal: gone.signal });
      await started;
      gone.abort();
      await assert.rejects(call);
      assert.ok(await aborted);
      letGo();
      await eventually(() =>
        assert.ok(
          under.lines.some((line) => line.reason === "CANCELLED"),
          "it is logged",
        ),
      );
    });
  }

  test("with its HTTP/2 connection ends the handler's signal", async () => {
    const { handlers, started, aborted, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const headers = Object.fromEntries(await under.fromOutside("ada"));
    const session = connectHttp2(under.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/switchboard.identity.v1.IdentityService/GetUser",
      "content-type": "application/json",
      ...headers,
    });
    stream.on("error", () => undefined);
    stream.end('{"user_id":"me"}');
    await started;
    session.destroy();
    assert.ok(await aborted);
    letGo();
  });

  test("ends a stream's handler", async () => {
    const { handlers, started, aborted, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const gone = new AbortController();
    const client = under.client(AuditService, "grpc", await under.fromOutside("ada"));
    const events = client.watchEvents({}, { signal: gone.signal })[Symbol.asyncIterator]();
    await events.next();
    const next = events.next();
    await started;
    gone.abort();
    await assert.rejects(next);
    assert.ok(await aborted);
    letGo();
  });

  test("in the middle of its body leaves the server well", async () => {
    await using under = await serverUnderTest({ identity: { getUser: () => ({}) } });
    const headers = await under.fromOutside("ada");
    const socket = await open(under.url);
    const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(
      `POST /switchboard.identity.v1.IdentityService/GetUser HTTP/1.1\r\nhost: x\r\n${lines}content-type: application/json\r\ncontent-length: 100\r\n\r\n{"user`,
    );
    socket.end();
    await eventually(() => assert.ok(under.lines.some((line) => line.reason === "CANCELLED")));
    await under.client(IdentityService, "grpc", headers).getUser({ userId: "me" });
  });
});

async function open(url: string, { allowHalfOpen = false } = {}): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connectTcp({ port: Number(port), host: hostname, allowHalfOpen });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

describe("a drain", () => {
  for (const protocol of protocols) {
    test(`lets a unary call finish, over ${protocol}`, async () => {
      const { handlers, started, letGo } = hanging();
      await using under = await serverUnderTest(handlers);
      const client = under.client(IdentityService, protocol, await under.fromOutside("ada"));
      const call = client.getUser({ userId: "me" });
      await started;
      const drained = under.server.drain(5_000);
      await delay(20);
      letGo();
      assert.equal((await call).user?.userId, "late");
      const before = performance.now();
      await drained;
      assert.ok(performance.now() - before < 2_000, "nothing is waited for after the last call");
      await assert.rejects(open(under.url), /ECONNREFUSED/);
    });
  }

  test("ends open streams with DRAINING, which is `unavailable`, at once", async () => {
    const { handlers, started, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const client = under.client(AuditService, "grpc", await under.fromOutside("ada"));
    const events = client.watchEvents({})[Symbol.asyncIterator]();
    await events.next();
    const next = events.next();
    await started;
    const drained = under.server.drain(5_000);
    await assert.rejects(next, reasonIs("DRAINING"));
    letGo();
    await drained;
  });

  test("ends calls that take longer than its grace with DRAINING", async () => {
    const { handlers, started, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const call = under.client(IdentityService, "grpc", await under.fromOutside("ada")).getUser({ userId: "me" });
    const refused = assert.rejects(call, reasonIs("DRAINING"));
    await started;
    await under.server.drain(100);
    await refused;
    letGo();
  });

  test("says GOAWAY, and refuses what was on its way in a form that is safe to repeat", async () => {
    const { handlers, started, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
    const call = client.getUser({ userId: "me" });
    await started;
    const session = connectHttp2(under.url);
    await once(session, "remoteSettings");
    const goaway = once(session, "goaway");
    const drained = under.server.drain(5_000);
    // Sent before this client can have heard of the drain.
    const stream = session.request({ ":method": "POST", ":path": "/grpc.health.v1.Health/Check" });
    const outcome = once(stream, "response").then(
      () => assert.fail("it was taken"),
      () => stream.rstCode,
    );
    assert.equal((await goaway)[0], constants.NGHTTP2_NO_ERROR);
    assert.equal(await outcome, constants.NGHTTP2_REFUSED_STREAM);
    letGo();
    assert.equal((await call).user?.userId, "late");
    await drained;
  });

  test("closes idle keep-alive connections", async () => {
    await using under = await serverUnderTest();
    const socket = await open(under.url);
    socket.write("GET /none HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "data");
    const closed = once(socket, "close");
    await under.server.drain(5_000);
    await closed;
  });
});

describe("a client that ends its side of the connection behind its request", () => {
  const ask = async (under: ServerUnderTest, rest: string) => {
    const credentials = [...(await under.fromOutside("ada"))].map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const socket = await open(under.url, { allowHalfOpen: true });
    socket.write(
      `POST /switchboard.identity.v1.IdentityService/GetUser HTTP/1.1\r\nhost: x\r\n${credentials}content-type: application/json\r\n${rest}`,
    );
    socket.end();
    return socket;
  };
  const whole = 'content-length: 16\r\n\r\n{"user_id":"me"}';

  test("gets its answer, however late, and the connection ends", async () => {
    const { handlers, started, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const socket = await ask(under, whole);
    const answer = text(socket);
    await started;
    await delay(600);
    letGo();
    assert.match(await answer, /HTTP\/1\.1 200 OK.*"late"/s);
  });

  test("and is gone altogether: its call ends", async () => {
    const { handlers, started, aborted, letGo } = hanging();
    await using under = await serverUnderTest(handlers);
    const socket = await ask(under, whole);
    await started;
    socket.destroy();
    assert.ok(await aborted);
    letGo();
  });

  test("and left its request unfinished: the call ends", async () => {
    await using under = await serverUnderTest({ identity: { getUser: () => ({}) } });
    const socket = await ask(under, 'content-length: 100\r\n\r\n{"user');
    await text(socket);
    await eventually(() => assert.ok(under.lines.some((line) => line.reason === "CANCELLED")));
  });
});

describe("connections that only cost", () => {
  const limits = { headersTimeoutMs: 300 };
  const closes = async (bytes: string) => {
    await using under = await serverUnderTest({}, { limits });
    const socket = await open(under.url);
    socket.write(bytes, "latin1");
    socket.resume();
    const before = performance.now();
    await Promise.race([
      once(socket, "close"),
      delay(5_000, undefined, { ref: false }).then(() => assert.fail("it stays open")),
    ]);
    return performance.now() - before;
  };

  test("send nothing: closed", async () => assert.ok((await closes("")) >= 250));
  test("send half a preface: closed", async () => void (await closes("PRI * HT")));
  test("send their headers slowly: closed", async () => {
    assert.ok((await closes("POST /x HTTP/1.1\r\nhost: x\r\nslow")) >= 250);
  });

  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  test("begin with HTTP/2 and ask nothing: told, then closed", async () => {
    assert.ok((await closes(preface)) >= 250);
  });
  test("send HTTP/2 headers without an end: closed", async () => {
    // HEADERS of stream 1 with no flags: ":method: GET" from the static table, the rest to follow in a CONTINUATION.
    assert.ok((await closes(`${preface}\0\0\x01\x01\0\0\0\0\x01\x82`)) >= 250);
  });

  test("are idle over HTTP/2: told by GOAWAY, then closed; the ones that carry a stream are not", async () => {
    const { handlers, letGo, started } = hanging();
    await using under = await serverUnderTest(handlers, { limits: { keepAliveTimeoutMs: 300 } });
    const busy = under.client(IdentityService, "grpc", await under.fromOutside("ada")).getUser({ userId: "me" });
    await started;
    const idle = connectHttp2(under.url);
    const told = once(idle, "goaway");
    const closed = once(idle, "close");
    const stream = idle.request({ ":method": "POST", ":path": "/none" });
    stream.resume().end();
    await once(stream, "close");
    const before = performance.now();
    assert.equal((await told)[0], constants.NGHTTP2_NO_ERROR);
    await closed;
    assert.ok(performance.now() - before >= 250);
    letGo();
    assert.equal((await busy).user?.userId, "late");
  });

  test("are more than allowed: closed at once, and the others are served", async () => {
    await using under = await serverUnderTest({}, { limits: { maxConnections: 2 } });
    const kept = await Promise.all([open(under.url), open(under.url)]);
    const third = await open(under.url);
    third.resume();
    await once(third, "close");
    for (const socket of kept) {
      socket.write("GET /none HTTP/1.1\r\nhost: x\r\n\r\n");
      assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 404/);
      socket.destroy();
    }
  });

  test("send more headers than allowed: 431", async () => {
    await using under = await serverUnderTest();
    const answer = await rawHttp1(under.url, { path: "/x", headers: { filler: "x".repeat(20_000) } });
    assert.equal(answer.status, 431);
  });

  test("are answered with a reason and an id, in words that a person can read", async () => {
    await using under = await serverUnderTest({}, { limits });
    for (const [bytes, status, reason] of [
      ["nonsense\r\n\r\n", 400, "MALFORMED_REQUEST"],
      ["GET / HTTP/1.1\r\n\r\n", 400, "MALFORMED_REQUEST"],
      ["GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505, "UNSUPPORTED_PROTOCOL"],
      ["GET / HTTP/1.1\r\nhost: x\r\nslow", 408, "DEADLINE_EXCEEDED"],
      [`GET / HTTP/1.1\r\nhost: x\r\nfiller: ${"x".repeat(20_000)}\r\n\r\n`, 431, "REQUEST_TOO_LARGE"],
      ["GET / HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\n\r\n", 417, "UNSUPPORTED_PROTOCOL"],
      [
        `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;${"x".repeat(20_000)}\r\n`,
        413,
        "REQUEST_TOO_LARGE",
      ],
    ] as const) {
      const socket = await open(under.url);
      socket.write(bytes);
      const [head = "", body = ""] = (await text(socket)).split("\r\n\r\n");
      assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), bytes.slice(0, 100));
      assert.match(head, /\r\nx-request-id: [0-9a-f-]{36}(\r\n|$)/i);
      assert.match(head, new RegExp(`\r\ncontent-length: ${body.length}(\r\n|$)`, "i"));
      assert.equal(reasonOf(errorFromJsonBytes(Buffer.from(body), undefined, {} as never)), reason);
    }
  });

  test("speak neither protocol, or say not where to: refused, and the server lives", async () => {
    await using under = await serverUnderTest();
    for (const [bytes, status] of [
      ["\x16\x03\x01 TLS hello", 400],
      ["GET / HTTP/1.0\r\n\r\n", 400],
      ["GET //[ HTTP/1.1\r\nhost: x\r\n\r\n", 400],
      ["GET /\r\n\r\n", 505],
      ["GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505],
      ["GET / HTTP/1.5\r\nhost: x\r\n\r\n", 400],
    ] as const) {
      const socket = await open(under.url);
      socket.write(bytes);
      const [answer] = await once(socket, "data");
      assert.match(String(answer), new RegExp(`^HTTP/1\\.[01] ${status}`), bytes);
      socket.destroy();
    }
    assert.equal((await rawHttp1(under.url, { path: "/none", method: "GET" })).status, 404);
  });
});

test("every audited call is recorded once: answered, refused, failed", async () => {
  let outcome: () => Promise<object> = async () => ({});
  await using under = await serverUnderTest({ identity: { deleteUser: () => outcome(), getUser: () => outcome() } });
  const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
  await client.deleteUser({ userId: "bob" });
  await client.getUser({ userId: "bob" });
  outcome = () => Promise.reject(new TypeError("password=hunter2"));
  await assert.rejects(client.deleteUser({ userId: "bob" }), (error) => {
    assert.match(String(error), /internal error; trace [0-9a-f]{32}/);
    assert.ok(!String(error).includes("hunter2"));
    return reasonIs("INTERNAL")(error);
  });
  await assert.rejects(client.getUser({ userId: "bob" }));
  assert.deepEqual(
    under.records.map(({ method, outcome, reason, object }) => [method.split("/")[1], outcome, reason, object]),
    [
      ["DeleteUser", Outcome.ALLOWED, "", "user:bob"],
      ["DeleteUser", Outcome.FAILED, "INTERNAL", "user:bob"],
    ],
  );
});

test("the access log has a line a call, with its trace and its actor, and never the query string", async () => {
  await using under = await serverUnderTest({ identity: { getUser: () => ({}) } });
  const headers = Object.fromEntries(await under.fromOutside("ada"));
  const query = `?connect=v1&encoding=json&message=${encodeURIComponent('{"user_id":"me","secret":"hunter2"}')}`;
  const path = `/switchboard.identity.v1.IdentityService/GetUser${query}`;
  const answer = await rawHttp1(under.url, { method: "GET", path, headers });
  assert.equal(answer.status, 200, String(answer.body));
  const [line, ...more] = under.lines;
  assert.partialDeepStrictEqual(line, {
    method: "switchboard.identity.v1.IdentityService/GetUser",
    code: "ok",
    actor: "user:ada",
  });
  assert.match(String(line?.trace_id), /^[0-9a-f]{32}$/);
  assert.deepEqual(more, []);
  assert.ok(!JSON.stringify(under.lines).includes("hunter2"));
  assert.ok(!JSON.stringify(under.lines).includes("ey"), "no token either");
});
