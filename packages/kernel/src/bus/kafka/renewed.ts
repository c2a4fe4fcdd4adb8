/** Something that is connected on demand, used by many at once, and thrown away after a failure. */

export interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

export class Renewed<T extends Connectable> implements AsyncDisposable {
  readonly #make: () => T;
  readonly #connected: (made: T) => Promise<void>;
  #current: Promise<T> | undefined;

  /** `connected` is called with each that has been connected, before it is used. */
  constructor(make: () => T, connected: (made: T) => Promise<void> = async () => {}) {
    this.#make = make;
    this.#connected = connected;
  }

  async use<R>(work: (made: T) => Promise<R>): Promise<R> {
    this.#current ??= this.#open();
    const current = this.#current;
    try {
      return await work(await current);
    } catch (error) {
      if (this.#current === current) this.#current = undefined;
      void current.then((made) => made.disconnect()).catch(() => {});
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.then((made) => made.disconnect()).catch(() => {});
  }

  async #open(): Promise<T> {
    const made = this.#make();
    try {
      await made.connect();
      await this.#connected(made);
      return made;
    } catch (error) {
      await made.disconnect().catch(() => {});
      throw error;
    }
  }
}
