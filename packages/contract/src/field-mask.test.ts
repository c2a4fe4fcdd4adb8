import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { UpdateUserRequestSchema, UserSchema } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { AppError } from "./app-error.ts";
import { updatePaths } from "./field-mask.ts";

const changeable = ["display_name", "email"] as const;

function paths(user: MessageInitShape<typeof UserSchema>, mask?: string[]): readonly string[] {
  const message = create(UserSchema, user);
  return updatePaths(UserSchema, message, mask && create(FieldMaskSchema, { paths: mask }), changeable);
}

function refused(mask: string[], message: RegExp): void {
  assert.throws(
    () => paths({}, mask),
    (error) => error instanceof AppError && error.reason === "INVALID_UPDATE_MASK" && message.test(error.message),
  );
}

describe("an update mask", () => {
  test("names what changes, each once, also a field that becomes empty", () => {
    assert.deepEqual(paths({}, ["email", "display_name", "email"]), ["display_name", "email"]);
  });

  test("left out means the fields that are not empty and may change", () => {
    assert.deepEqual(paths({ email: "a@b.c", userId: "1", etag: "x" }), ["email"]);
    assert.deepEqual(paths({ email: "a@b.c" }, []), ["email"]);
    assert.deepEqual(paths({}), []);
  });

  test("`*` means all that may change", () => {
    assert.deepEqual(paths({}, ["*"]), ["display_name", "email"]);
    refused(["*", "email"], /must stand alone/);
  });

  test("with an unknown or an output-only field is refused, and says which may change", () => {
    refused(["email", "phone"], /"phone" is no field of User; name some of display_name, email/);
    refused(["create_time"], /"create_time" cannot be changed/);
    refused(["create_time.seconds"], /cannot be changed/);
    refused([""], /is no field/);
    refused(["display_name.x"], /is no field/);
    refused(["displayName"], /is no field/);
  });

  test("reaches into a message where such a path may change", () => {
    const nested = ["user.email", "user.display_name", "request_id"] as const;
    const message = create(UpdateUserRequestSchema, { user: { email: "a@b.c" } });
    assert.deepEqual(updatePaths(UpdateUserRequestSchema, message, undefined, nested), ["user.email"]);
  });
});
