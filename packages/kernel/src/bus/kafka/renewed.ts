/**
 * Something that is connected on demand, used by one after the other, and thrown away after a failure. kafkajs's admin
 * forgets, for instance, the partitions that one call asked for as soon as another call asks for others.
 */

export interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

export class Renewed<T extends Connectable> implements AsyncDisposable {
  readonly #make: () => T;
  #turn: Promise<unknown> = Promise.resolve();
  #current: Promise<T> | undefined;

  constructor(make: () => T) {
    this.#make = make;
  }

  use<R>(work: (made: T) => Promise<R>): Promise<R> {
    const turn = this.#turn.then(() => this.#use(work));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    const current = this.#current;
    this.#current = undefined;
    await current?.then((made) => made.disconnect()).catch(() => {});
  }

  async #use<R>(work: (made: T) => Promise<R>): Promise<R> {
    this.#current ??= this.#open();
    const current = this.#current;
    try {
      return await work(await current);
    } catch (error) {
      this.#current = undefined;
      void current.then((made) => made.disconnect()).catch(() => {});
      throw error;
    }
  }

  async #open(): Promise<T> {
    const made = this.#make();
    try {
      await made.connect();
      return made;
    } catch (error) {
      await made.disconnect().catch(() => {});
      throw error;
    }
  }
}
