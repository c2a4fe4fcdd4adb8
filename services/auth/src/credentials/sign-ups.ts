/**
 * The steps of a sign-up, which spans two services: a pending account here, the person in Identity under the user_id that
 * was chosen here, the completed account. Every step can be repeated, so that whoever comes later (the same caller, the
 * job) goes on where it was left.
 */
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { emailKey } from "@switchboard/contract/email";
import { newId } from "@switchboard/contract/ids";
import { BadRequestSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { SignedUpSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import type { ServiceDeps } from "@switchboard/kernel/service";
import {
  type Account,
  completeAccount,
  findAccountOfSignUp,
  insertPendingAccount,
  removePendingAccount,
} from "../store/accounts.ts";
import type { Passwords } from "./passwords.ts";

export interface SignUpDetails {
  readonly email: string;
  readonly password: string;
  readonly displayName: string;
  /** Empty: none came. */
  readonly requestId: string;
}

export class SignUps {
  readonly #deps: Pick<ServiceDeps, "database" | "now">;
  readonly #passwords: Passwords;
  readonly #identity: Client<typeof IdentityService>;

  constructor(deps: Pick<ServiceDeps, "database" | "now" | "client">, passwords: Passwords) {
    this.#deps = deps;
    this.#passwords = passwords;
    this.#identity = deps.client(IdentityService);
  }

  /**
   * The account of a sign-up: a new pending one, the pending one that was left by an earlier try with the same password,
   * or the active one that the same request made.
   * @throws AppError ALREADY_EXISTS, REQUEST_ID_REUSED
   */
  async begin(details: SignUpDetails): Promise<Account> {
    const { queries } = this.#deps.database;
    const { email, password, displayName, requestId } = details;
    const found = await findAccountOfSignUp(queries, email, requestId);
    if (found) return this.#resume(found, details);
    const inserted = await insertPendingAccount(queries, {
      userId: newId(),
      email,
      displayName,
      passwordHash: await this.#passwords.hash(password),
      signUpRequestId: requestId || null,
      createTime: new Date(this.#deps.now()),
    });
    if (inserted) return inserted;
    const faster = await findAccountOfSignUp(queries, email, requestId);
    if (faster === undefined) throw new AppError("CONFLICT", "this e-mail is signing up elsewhere; try again");
    return this.#resume(faster, details);
  }

  /**
   * Makes the person in Identity, or finds that it is made.
   * @throws AppError ALREADY_EXISTS, INVALID_FIELD where Identity refuses: the pending account is gone; SERVICE_UNAVAILABLE
   * where there is no answer: it stays, to be finished later.
   */
  async makePerson({ userId, email, displayName }: Account, options: CallOptions): Promise<void> {
    try {
      await this.#identity.createUser({ userId, email, displayName, requestId: userId }, options);
    } catch (failure) {
      const error = ConnectError.from(failure);
      if (error.code === Code.AlreadyExists) {
        if (await this.#isMade(userId, email, options)) return;
      } else if (error.code !== Code.InvalidArgument) {
        throw unfinished(error);
      }
      await removePendingAccount(this.#deps.database.queries, userId);
      throw error.code === Code.AlreadyExists ? emailTaken() : invalid(error);
    }
  }

  /** Lets the account sign in. False: somebody else has completed it. */
  async complete(tx: Transaction, userId: string): Promise<boolean> {
    if (!(await completeAccount(tx.queries, userId))) return false;
    await tx.publish(SignedUpSchema, { userId }, userId);
    return true;
  }

  async #resume(account: Account, { email, password, requestId }: SignUpDetails): Promise<Account> {
    const sameRequest = requestId !== "" && account.signUpRequestId === requestId;
    const sameEmail = account.emailKey === emailKey(email);
    if (sameRequest && !sameEmail) throw otherRequest();
    if (account.state === "active" && !sameRequest) throw emailTaken();
    if (await this.#passwords.matches(password, account.passwordHash)) return account;
    throw sameRequest ? otherRequest() : emailTaken();
  }

  /** Whether the person that Identity already has is this account's own: made by a try that heard no answer. */
  async #isMade(userId: string, email: string, options: CallOptions): Promise<boolean> {
    try {
      const { user } = await this.#identity.getUser({ userId }, options);
      return user !== undefined && emailKey(user.email) === emailKey(email);
    } catch (failure) {
      const error = ConnectError.from(failure);
      if (error.code === Code.NotFound) return false;
      throw unfinished(error);
    }
  }
}

export function emailTaken(): AppError {
  return new AppError(
    "ALREADY_EXISTS",
    "there is an account with this e-mail, in this or another letter case; sign in",
  );
}

function otherRequest(): AppError {
  return new AppError("REQUEST_ID_REUSED", "this request_id came before with another request; use a new one");
}

function unfinished(cause: ConnectError): AppError {
  return new AppError("SERVICE_UNAVAILABLE", "the sign-up cannot be finished at the moment; repeat it", { cause });
}

function invalid(cause: ConnectError): AppError {
  const violations = cause
    .findDetails(BadRequestSchema)
    .flatMap((details) => details.fieldViolations.map(({ field, description }) => ({ field, description })));
  return new AppError("INVALID_FIELD", "the person cannot be made with these fields", { cause, violations });
}
