/** What things are called in Kafka. All names begin with the prefix, so that rights can be given by prefix. */

/** Kafka's own rule for topics is at most 249 of these. */
const NAME = /^[A-Za-z0-9_-]{1,80}$/;

export class KafkaNames {
  readonly #prefix: string;
  readonly #service: string;

  /** The service whose groups these are. */
  constructor(prefix: string, service: string) {
    this.#prefix = prefix;
    this.#service = service;
  }

  /** The topic of a service's facts. */
  topic(source: string): string {
    return `${this.#prefix}.${checked(source)}`;
  }

  /** The service whose facts a topic has; undefined for any other topic. */
  sourceOf(topic: string): string | undefined {
    const start = `${this.#prefix}.`;
    const rest = topic.startsWith(start) ? topic.slice(start.length) : "";
    return NAME.test(rest) ? rest : undefined;
  }

  /** Kafka's id of the consumer group; groups of different services never meet. */
  group(group: string): string {
    return `${this.#prefix}.${this.#service}.${checked(group)}`;
  }

  /** What only this group gets again: redriven dead letters, and replays. */
  redelivery(group: string): string {
    return `${this.#prefix}.redelivery.${this.#service}.${checked(group)}`;
  }

  deadLetters(group: string): string {
    return `${this.#prefix}.dead-letters.${this.#service}.${checked(group)}`;
  }
}

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new RangeError(`"${name}" cannot be part of a name in Kafka: letters, digits, "-" and "_", at most 80`);
}
