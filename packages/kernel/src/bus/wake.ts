/** Lets a loop sleep until there is something to do: a signal that is remembered when nobody sleeps. */
export class Wake {
  #called = false;
  #resolve: (() => void) | undefined;

  call(): void {
    this.#called = true;
    this.#resolve?.();
  }

  /** Resolves when it is called, at once where it was since the last time; at the latest after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#called) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
      this.#resolve = undefined;
    }
    this.#called = false;
  }
}
