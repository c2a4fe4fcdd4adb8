/** What the calls, consumers and jobs of Auth share: its dependencies and what is made of them. */
import type { ServiceDeps } from "@switchboard/kernel/service";
import type { AuthConfig } from "./config.ts";
import { Passwords } from "./credentials/passwords.ts";
import { Sessions } from "./credentials/sessions.ts";
import { SignInThrottle } from "./credentials/sign-in-throttle.ts";
import { SignUps } from "./credentials/sign-ups.ts";
import { SigningKeys } from "./credentials/signing-keys.ts";
import { TokenIssuer } from "./credentials/token-issuer.ts";
import { deriveKey } from "./rules/secrets.ts";

export interface Auth {
  readonly deps: ServiceDeps;
  readonly config: AuthConfig;
  readonly keys: SigningKeys;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly signUps: SignUps;
  readonly throttle: SignInThrottle;
  readonly tokens: TokenIssuer;
}

export function createAuth(deps: ServiceDeps, config: AuthConfig): Auth {
  const { database, now } = deps;
  const { keyEncryptionSecret, keyRotationMs } = config;
  const sealKey = deriveKey(keyEncryptionSecret, "signing keys");
  const successorKey = deriveKey(keyEncryptionSecret, "refresh token successors");
  const keys = new SigningKeys({ database, rotationMs: keyRotationMs, sealKey, now });
  const tokens = new TokenIssuer(keys);
  const passwords = new Passwords();
  return {
    deps,
    config,
    keys,
    passwords,
    tokens,
    sessions: new Sessions({ limits: config, tokens, successorKey, now }),
    signUps: new SignUps(deps, passwords),
    throttle: new SignInThrottle({ database, limits: config, now }),
  };
}
