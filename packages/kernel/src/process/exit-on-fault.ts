/** A fault that only an operator can mend ends the process with its text on standard error, and with a code that says so. */
import { SettingsFault } from "../config/read-settings.ts";
import { ContractFault } from "../rpc/policies.ts";

/** sysexits.h EX_CONFIG: starting again with the same settings and contracts would not help. */
const EXIT_CONFIG = 78;

/** What `work` returns; for settings or contracts that cannot be used it does not return. */
export async function exitOnFault<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (fault) {
    if (!(fault instanceof SettingsFault || fault instanceof ContractFault)) throw fault;
    process.stderr.write(`${fault.message}\n`);
    process.exit(EXIT_CONFIG);
  }
}
