/** A first-in-first-out list whose ends cost the same at any length; an array's front does not. */

interface Link<T> {
  readonly value: T;
  next: Link<T> | undefined;
}

export class Queue<T> implements Iterable<T> {
  #first: Link<T> | undefined;
  #last: Link<T> | undefined;

  get empty(): boolean {
    return this.#first === undefined;
  }

  push(value: T): void {
    const link = { value, next: undefined };
    if (this.#last) this.#last.next = link;
    else this.#first = link;
    this.#last = link;
  }

  shift(): T | undefined {
    const first = this.#first;
    this.#first = first?.next;
    if (this.#first === undefined) this.#last = undefined;
    return first?.value;
  }

  /** Puts values before the first, in their order. */
  unshift(values: readonly T[]): void {
    for (const value of values.toReversed()) {
      this.#first = { value, next: this.#first };
      this.#last ??= this.#first;
    }
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let link = this.#first; link; link = link.next) yield link.value;
  }
}
